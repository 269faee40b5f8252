//! The console on the ops listener: who is let in and with what headers (`sessions`), what is shown of whom (`shown`), and
//! how it is in a real Chromium, with the real program (`browser`).

mod browser;
mod sessions;
mod shown;
mod site;
