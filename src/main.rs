//! The `afterbeep` command.

use std::process::ExitCode;

use clap::Parser as _;

/// Gives memory back soon after it was freed, that of SQLite and libopus too: see `docs/decisions/memory-goes-back.md`. How soon it
/// does is decided in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = afterbeep::cli::Cli::parse();
    match afterbeep::cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough, as in `afterbeep message list | head`.
        Err(error) if afterbeep::cli::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            eprintln!("afterbeep: {}", causes.join(": "));
            ExitCode::FAILURE
        }
    }
}
