//! Entry point of `distric-load`.
fn main() -> std::process::ExitCode {
    load::main()
}
