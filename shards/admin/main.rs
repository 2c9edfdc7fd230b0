//! Entry point of `distric-admin`.
fn main() -> std::process::ExitCode {
    admin::main()
}
