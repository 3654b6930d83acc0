//! The only way to register a handler. One that serves keys must take `Guarded<Policy>` first, or the program does not
//! compile; one that serves anybody is registered by `open`, which is easy to find.

use actix_web::{FromRequest, Handler, Responder, Route, web};

use super::auth::{Guarded, Policy};

/// The arguments of a handler whose first is a guard.
pub(super) trait GuardedArgs: FromRequest + 'static {}

macro_rules! guarded_args {
    ($($arg:ident)*) => {
        impl<P: Policy, $($arg: FromRequest + 'static),*> GuardedArgs for (Guarded<P>, $($arg,)*) {}
    };
}
guarded_args! {}
guarded_args! { A }
guarded_args! { A B }
guarded_args! { A B C }
guarded_args! { A B C D }

/// `GET` for a policy.
pub(super) fn get<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: GuardedArgs,
    F::Output: Responder + 'static,
{
    web::get().to(handler)
}

/// `POST` for a policy.
pub(super) fn post<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: GuardedArgs,
    F::Output: Responder + 'static,
{
    web::post().to(handler)
}

/// `DELETE` for a policy.
pub(super) fn delete<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: GuardedArgs,
    F::Output: Responder + 'static,
{
    web::delete().to(handler)
}

/// `GET` for anybody: health, metrics, the contract.
pub(super) fn open<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::get().to(handler)
}
