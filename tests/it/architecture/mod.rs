//! The structure of `src/`: the modules that each module may use, the graph of imports, and the
//! walks in `docs/architecture.md`.

mod graph;
mod layering;
mod source;
mod walks;
