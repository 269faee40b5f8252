//! Integration tests: the service from the outside, over real sockets and the real protocols.
//!
//! | Folder | What it tests |
//! |---|---|
//! | `architecture` | the structure of `src/`: permitted imports, no circles, documented walks |
//! | `api` | the administration API, `countersign.v1` over gRPC |
//! | `authorize` | the page on which a user authorizes an application |
//! | `check` | `Check`, the call that Envoy makes, without an Envoy |
//! | `cli` | the commands of the program |
//! | `console` | the web console on the ops listener |
//! | `docs` | the commands, paths and files in `docs/`, `README.md` and `deploy/` |
//! | `service` | listeners, health, shutdown, replicas, the user directory, recorded denials |
//! | `store` | the stores: one contract for all, and the promises of each |
//! | `support` | helpers: programs to run, clients to call them, stores that fail on purpose |
//! | `through_envoy` | everything together: a client, a real Envoy, the program, a store and an upstream |
//! | `token_endpoints` | `/oauth/request_token`, `/oauth/access_token` and xAuth |

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod api;
mod architecture;
mod authorize;
mod check;
mod cli;
mod console;
mod docs;
mod service;
mod store;
mod support;
mod through_envoy;
mod token_endpoints;
