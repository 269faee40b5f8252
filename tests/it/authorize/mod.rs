//! The authorize page: its forms over plain HTTP (`forms`), several instances (`instances`), and a
//! real Chromium (`browser`).

mod browser;
mod forms;
mod instances;
mod site;
