//! The structure of `src/`: the modules that each module may use, and the graph of imports.

mod graph;
mod layering;
mod source;
