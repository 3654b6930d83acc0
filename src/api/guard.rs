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

/// Registrations for a policy: a method each.
macro_rules! guarded_methods {
    ($($(#[$doc:meta])* $method:ident)*) => {$(
        $(#[$doc])*
        pub(super) fn $method<F, Args>(handler: F) -> Route
        where
            F: Handler<Args>,
            Args: GuardedArgs,
            F::Output: Responder + 'static,
        {
            web::$method().to(handler)
        }
    )*};
}
guarded_methods! {
    /// `GET` for a policy.
    get
    /// `POST` for a policy.
    post
    /// `DELETE` for a policy.
    delete
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
