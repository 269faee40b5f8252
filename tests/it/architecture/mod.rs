//! The structure of `src/`: the modules that each module may use.

mod layering;
