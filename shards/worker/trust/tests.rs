use super::*;

#[test]
fn a_text_without_a_certificate_is_refused() {
    for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = Trust::Pem(pem.into()).load().unwrap_err();
        assert!(error.to_string().starts_with("not PEM certificates: "), "{pem}: {error}");
    }
}

#[test]
fn the_machines_roots_are_loaded_once() {
    runtime::block_on(async {
        match Trust::Machine.load_off_core().await {
            Ok(first) => {
                let second = Trust::Machine.load_off_core().await.unwrap();
                assert!(Arc::ptr_eq(&first, &second));
            }
            // A machine without any is told what to install.
            Err(error) => assert!(error.to_string().contains("ca-certificates"), "{error}"),
        }
    });
}
