//! The contract: OpenAPI 3.1, put together from the handlers and from the schemas of ticket and decision, which are
//! JSON Schema files beside this one. `docs/openapi.json` is a committed copy that a test compares.

use std::fmt::Write;

use serde_json::{Map, Value, json};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};

use super::routes;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Praetor",
        description = "Arbitration of e-commerce after-sale disputes. Money is in decimal yuan or integer fen, times are RFC 3339 with offset. Errors are RFC 9457 problem documents whose `code` is stable; their texts follow `Accept-Language` (zh, en).",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        routes::decisions::create, routes::decisions::list, routes::decisions::show, routes::decisions::trace,
        routes::decisions::explanation,
        routes::replay::replay,
        routes::appeals::standing, routes::appeals::appeal,
        routes::reviews::list, routes::reviews::show, routes::reviews::claim_next, routes::reviews::claim,
        routes::reviews::release, routes::reviews::resolve,
        routes::review_figures::reasons, routes::review_figures::agreement, routes::review_figures::diagnosis,
        routes::batches::create, routes::batches::list, routes::batches::show, routes::batches::cancel,
        routes::batch_streams::results, routes::batch_streams::events,
        routes::proofs::receipt, routes::proofs::checkpoint,
        routes::audit::inclusion, routes::audit::consistency, routes::audit::export,
        routes::certificates::list, routes::certificates::show,
        routes::tenants::create, routes::tenants::list,
        routes::keys::create, routes::keys::list, routes::keys::revoke, routes::keys::rotate,
        routes::rules::list, routes::rules::show, routes::packs::check, routes::packs::differences,
        routes::publications::create, routes::publications::list, routes::publications::show, routes::publications::shadow,
        routes::publications::report, routes::publications::approve, routes::publications::rollback,
        routes::webhooks::create, routes::webhooks::list, routes::webhooks::show, routes::webhooks::delete,
        routes::webhooks::rotate, routes::webhooks::test, routes::webhooks::deliveries,
        routes::health::alive, routes::health::ready, routes::health::metrics, routes::health::contract,
        routes::health::docs,
    ),
    components(schemas(Problem, routes::batch_streams::ResultLine)),
    security(("key" = [])),
)]
struct Contract;

/// A problem document (RFC 9457).
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // a shape for the contract; `ApiError` writes it
pub(super) struct Problem {
    /// `urn:praetor:problem:` and the code.
    r#type: String,
    /// What clients branch on.
    code: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong, for people.
    title: String,
    /// Where and by which rule, if that can be said in a line.
    detail: Option<String>,
    /// The request's id, as in `X-Request-Id`.
    request_id: String,
    /// For a refused ticket: every place that breaks a rule, at most 20.
    errors: Option<Vec<Place>>,
}

/// A place that breaks a rule.
#[derive(utoipa::ToSchema)]
#[allow(dead_code)] // as above
struct Place {
    /// JSON path.
    path: String,
    /// What was found there, shortened.
    value: String,
    /// The rule's code.
    rule: String,
    /// The whole in words.
    message: String,
}

const TICKET: &str = include_str!("schema/ticket.json");
const DECISION: &str = include_str!("schema/decision.json");

/// The whole contract.
pub fn document() -> Value {
    let mut contract = Contract::openapi();
    let components = contract.components.get_or_insert_default();
    components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    let mut document = serde_json::to_value(contract).unwrap_or_default();
    for schemas in [TICKET, DECISION] {
        let schemas: Map<String, Value> = serde_json::from_str(schemas).unwrap_or_default();
        for (name, schema) in schemas {
            document["components"]["schemas"][name] = schema;
        }
    }
    let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let create = &mut document["paths"]["/v1/decisions"]["post"];
    create["requestBody"]["content"]["application/json"]["schema"] = reference("Ticket");
    if let Some(Ok(ticket)) =
        include_str!("../../examples/tickets.jsonl").lines().next().map(serde_json::from_str::<Value>)
    {
        create["requestBody"]["content"]["application/json"]["example"] = ticket;
    }
    create["responses"]["201"]["content"]["application/json"]["schema"] = reference("Decision");
    document["paths"]["/v1/decisions/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] =
        reference("Decision");
    for body in ["PackBody", "DraftBody", "DiffBody"] {
        let files = &mut document["components"]["schemas"][body]["properties"]["files"];
        files["propertyNames"] = json!({ "pattern": "^[A-Za-z0-9_.@-]{1,95}\\.yaml$" });
        files["maxProperties"] = json!(routes::packs::MAX_FILES);
    }
    // What serde refuses of a tagged form, utoipa does not say.
    let forms = document["components"]["schemas"]["ResolutionRequest"]["oneOf"].as_array_mut();
    for form in forms.into_iter().flatten() {
        form["additionalProperties"] = Value::Bool(false);
    }
    document["paths"]["/v1/batches"]["post"]["requestBody"]["content"]["application/x-ndjson"]["schema"] =
        json!({ "type": "string", "minLength": 1, "pattern": "\\S" });
    let thresholds = &mut document["components"]["schemas"]["ReplayRequest"]["properties"]["thresholds"];
    thresholds["propertyNames"] = json!({ "enum": ["scene", "goods_type", "first_report", "evidence", "measure"] });
    thresholds["additionalProperties"] = json!({ "type": "number", "minimum": 0, "maximum": 1 });
    // A stream of events is no JSON that a schema of one could describe.
    document["paths"]["/v1/batches/{id}/events"]["get"]["responses"]["200"]["content"]["text/event-stream"] = json!({});
    let problem = json!({
        "description": "A problem; its `code` says which",
        "content": { "application/problem+json": { "schema": reference("Problem") } },
    });
    for path in document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        for operation in path.as_object_mut().into_iter().flat_map(Map::values_mut) {
            operation["responses"]["default"] = problem.clone();
            for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
                // A time in a query keeps to what a time in a ticket does.
                if parameter["schema"]["format"] == "date-time" {
                    parameter["schema"] = reference("TicketTime");
                }
            }
        }
    }
    document
}

/// The contract as a page without scripts.
pub(super) fn page(document: &Value) -> String {
    let text = |value: &Value| escape(value.as_str().unwrap_or_default());
    let mut body = String::new();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            let _ = write!(
                body,
                "<section><h2><code>{} {}</code></h2><p><b>{}.</b> {}</p><ul>",
                method.to_uppercase(),
                escape(path),
                text(&operation["summary"]),
                text(&operation["description"]),
            );
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
                let _ = write!(body, "<li><code>{name}</code> ({place}): {}</li>", text(&parameter["description"]));
            }
            for (status, response) in operation["responses"].as_object().into_iter().flatten() {
                let _ = write!(body, "<li>{}: {}</li>", escape(status), text(&response["description"]));
            }
            body.push_str("</ul></section>");
        }
    }
    let info = &document["info"];
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title><style>\
         body{{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}\
         h2{{font-size:1rem;border-top:1px solid #ccc;padding-top:1rem}}</style></head><body>\
         <h1>{title} {version}</h1><p>{about}</p><p>As data: <a href=\"/openapi.json\">openapi.json</a></p>{body}\
         </body></html>",
        title = text(&info["title"]),
        version = text(&info["version"]),
        about = text(&info["description"]),
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
