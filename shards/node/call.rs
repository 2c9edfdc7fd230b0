//! Orders of workflows, carried out by the worker on this core.

use engine::record::{Ended, Failed};
use flow::{Order, OrderKind, TaskError};
use replica::Caller;
use telemetry::Registry;
use worker::{CallError, HttpClient, HttpOptions, HttpRequest, HttpResponse};

/// What the replica hands its orders to.
pub(crate) fn caller(registry: &Registry) -> Caller {
    let client = HttpClient::counted(HttpOptions::default(), registry);
    Box::new(move |order| {
        let client = client.clone();
        Box::pin(async move { ended(&client.call(request(*order)).await) })
    })
}

fn request(order: Order) -> HttpRequest {
    let OrderKind::Http(http) = order.kind else {
        unreachable!("a plugin's order goes to a worker");
    };
    let request = HttpRequest {
        method: http.method,
        url: http.url,
        headers: http.headers,
        body: http.body.unwrap_or_default().into(),
        timeout: http.timeout,
        idempotency_key: Some(order.idempotency_key),
    };
    request.with_trace(order.trace)
}

fn ended(called: &Result<HttpResponse, CallError>) -> Ended {
    let result = match called {
        Ok(response) => flow::http_result(response.status, &response.headers, &response.body),
        Err(error) => Err(TaskError {
            code: error.code.as_str().into(),
            message: error.message.clone(),
            retryable: error.retryable,
        }),
    };
    match result {
        Ok(output) => Ended::Output(output.to_json().into_bytes()),
        Err(TaskError { code, message, retryable }) => {
            Ended::Failed(Failed { code, message, retryable })
        }
    }
}
