//! The service of a witness (C2SP tlog-witness): `POST /add-checkpoint`, and `GET /checkpoint?origin=…` for auditors.
//! It remembers one checkpoint a log, and remembers it before it answers.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpServer, web};
use serde::Deserialize;

use super::mark::{Mark, MarkError};
use crate::ledger::{AddCheckpoint, Hash, PublicKey, Refusal, SignedCheckpoint, SigningKey};

/// Largest body: a checkpoint with many signatures and the longest proof are far smaller.
const BODY_LIMIT: usize = 64 * 1024;
const SIZE_TYPE: &str = "text/x.tlog.size";

/// A witness: its key, the logs it knows, and what it has seen of them.
pub struct Keeper {
    key: SigningKey,
    logs: Vec<PublicKey>,
    folder: PathBuf,
    clock: fn() -> u64,
    /// One request after another, so that no two continue the same checkpoint.
    turn: Mutex<()>,
}

impl Keeper {
    /// A witness that keeps its memory in a folder. The clock gives seconds since 1970.
    pub fn new(key: SigningKey, logs: Vec<PublicKey>, folder: PathBuf, clock: fn() -> u64) -> Self {
        Self { key, logs, folder, clock, turn: Mutex::new(()) }
    }

    /// Cosigns, or says why not. Gives the signature's line.
    pub fn add(&self, request: &AddCheckpoint) -> Result<Result<String, Refusal>, MarkError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = self.mark(&request.checkpoint.unproven().origin);
        let seen = mark.read()?;
        if let Err(refusal) = request.judge(&self.logs, seen.as_ref().map(SignedCheckpoint::unproven)) {
            return Ok(Err(refusal));
        }
        let cosigned = request.checkpoint.cosign(&self.key, (self.clock)());
        let (mut checkpoint, line) = (request.checkpoint.clone(), cosigned.map_err(|_| Refusal::Unsigned));
        if let Ok(line) = &line
            && checkpoint.add(line, self.key.public()).is_ok()
        {
            mark.write(&checkpoint)?;
        }
        Ok(line)
    }

    /// What was seen last of a log.
    pub fn seen(&self, origin: &str) -> Result<Option<SignedCheckpoint>, MarkError> {
        self.mark(origin).read()
    }

    fn mark(&self, origin: &str) -> Mark {
        Mark::at(&self.folder.join(format!("{}.checkpoint", Hash::of(origin.as_bytes()))))
    }
}

/// Answers until a signal ends it.
pub async fn serve(keeper: Keeper, listener: TcpListener) -> std::io::Result<()> {
    let keeper = web::Data::new(keeper);
    HttpServer::new(move || {
        App::new()
            .app_data(keeper.clone())
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .route("/add-checkpoint", web::post().to(add_checkpoint))
            .route("/checkpoint", web::get().to(checkpoint))
    })
    .workers(2)
    .listen(listener)?
    .run()
    .await
}

async fn add_checkpoint(keeper: web::Data<Keeper>, body: String) -> HttpResponse {
    let request = match AddCheckpoint::parse(&body) {
        Ok(request) => request,
        Err(refusal) => return refused(&refusal),
    };
    match web::block(move || keeper.add(&request)).await {
        Ok(Ok(Ok(line))) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(line),
        Ok(Ok(Err(refusal))) => refused(&refusal),
        Ok(Err(error)) => failed(&error),
        Err(error) => failed(&error),
    }
}

#[derive(Deserialize)]
struct Asked {
    origin: String,
}

async fn checkpoint(keeper: web::Data<Keeper>, asked: web::Query<Asked>) -> HttpResponse {
    match keeper.seen(&asked.origin) {
        Ok(Some(signed)) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body(signed.to_string()),
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(error) => failed(&error),
    }
}

fn refused(refusal: &Refusal) -> HttpResponse {
    let status = match refusal {
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::UnknownLog => StatusCode::NOT_FOUND,
        Refusal::Unsigned => StatusCode::FORBIDDEN,
        Refusal::Inconsistent { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Conflict { size } => {
            return HttpResponse::Conflict().content_type(SIZE_TYPE).body(format!("{size}\n"));
        }
    };
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(format!("{refusal}\n"))
}

fn failed(error: &dyn std::error::Error) -> HttpResponse {
    tracing::error!("the witness cannot remember: {error}");
    HttpResponse::InternalServerError().finish()
}
