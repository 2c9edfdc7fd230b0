//! `distric-shard`: a DistriC node. All it does is in the `node` crate.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    node::main()
}
