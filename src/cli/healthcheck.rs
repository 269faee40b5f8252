//! `countersign healthcheck`: queries `grpc.health.v1`, for probes of containers that have no gRPC
//! client.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::client::{ServerAddress, TlsArgs};
use super::exit::CallError;
use super::output;

/// The arguments of `countersign healthcheck`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(crate) struct Args {
    /// Listener to query: HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:PATH
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    server: ServerAddress,
    #[command(flatten)]
    tls: TlsArgs,
    /// gRPC service to query [default: the whole server]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    service: String,
    /// Time to wait for the answer, for example 500ms or 10s
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Runs the command: prints the status, and succeeds only if it is SERVING.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let late = || {
        let timeout = humantime::format_duration(args.timeout);
        format!("{} did not answer within {timeout}", args.server)
    };
    let answer = tokio::time::timeout(args.timeout, query(&args)).await;
    let status = answer.with_context(late)??;
    output::line(status.as_str_name())?;
    Ok(if status == ServingStatus::Serving {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn query(args: &Args) -> anyhow::Result<ServingStatus> {
    // `run` measures the time, since its error is clearer than the channel's.
    let channel = args
        .server
        .connect(&args.tls, args.timeout.saturating_mul(2))
        .await
        .map_err(without_kind)?;
    let request = HealthCheckRequest {
        service: args.service.clone(),
    };
    let answer = HealthClient::new(channel).check(request).await;
    match answer {
        Ok(answer) => Ok(answer.into_inner().status()),
        Err(status) if status.code() == Code::NotFound => {
            bail!("{} has no service {:?}", args.server, args.service)
        }
        Err(status) => bail!(
            "{} did not report its health: {:?}: {}",
            args.server,
            status.code(),
            status.message()
        ),
    }
}

/// Removes the kind of a failed call, which has an exit status of its own: a probe needs one.
fn without_kind(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<CallError>() {
        Ok(call) => anyhow!("{call}"),
        Err(other) => other,
    }
}

const EXIT_STATUS: &str = "\
Exit status:
  0   the status is SERVING
  1   it is not, or there was no answer
  64  wrong usage";

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tonic_health::server::health_reporter;

    use super::*;

    #[tokio::test]
    async fn only_serving_is_healthy() {
        let (reporter, service) = health_reporter();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let serving = tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming),
        );

        let exit = |service: &str| run(args(&server, service));
        assert_eq!(exit("").await.unwrap(), ExitCode::SUCCESS);
        reporter
            .set_service_status("", tonic_health::ServingStatus::NotServing)
            .await;
        assert_eq!(exit("").await.unwrap(), ExitCode::FAILURE);
        let unknown = exit("no.such.Service").await.unwrap_err();
        assert_eq!(
            unknown.to_string(),
            format!("{server} has no service \"no.such.Service\"")
        );
        serving.abort();
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let error = run(args(&server, "")).await.unwrap_err().to_string();
        assert!(
            error.contains(&server) && error.contains("`countersign serve`"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let error = run(Args {
            timeout: Duration::from_millis(50),
            ..args(&server, "")
        })
        .await
        .unwrap_err();
        assert!(error.to_string().contains("within 50ms"), "{error}");
    }

    fn args(server: &str, service: &str) -> Args {
        Args {
            server: server.parse().unwrap(),
            tls: TlsArgs::default(),
            service: service.to_owned(),
            timeout: Duration::from_secs(10),
        }
    }
}
