//! The authorize page: by its forms, byte by byte (`forms`), and in a real Chromium (`browser`).

mod browser;
mod forms;
mod instances;
mod site;
