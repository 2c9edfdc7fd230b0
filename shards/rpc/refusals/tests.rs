use super::*;

#[test]
fn a_reason_is_said_once_until_it_is_forgotten_and_few_are_remembered() {
    let refusals = Refusals::new("peers");
    let caller = |port| SocketAddr::from(([10, 0, 0, 7], port));
    let said = refusals.notice(caller(1), "no".to_owned());
    let text = "connections from 10.0.0.7 to the address for peers are refused: no";
    assert_eq!(said.as_deref(), Some(text));
    assert_eq!(refusals.notice(caller(2), "no".to_owned()), None);
    refusals.forget();
    assert!(refusals.notice(caller(1), "no".to_owned()).is_some());
    for reason in 0..REASONS_MAX {
        assert!(refusals.notice(caller(1), reason.to_string()).is_some(), "{reason} is new");
    }
    assert!(refusals.said.borrow().len() <= REASONS_MAX);
}
