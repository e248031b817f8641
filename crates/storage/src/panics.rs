//! Panics of libraries, as errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f`, whose panic comes back as its message, and nothing of it on stderr. What `f` changes, and leaves
/// unfinished as it panics, must not be used afterwards.
///
/// Parquet's and Arrow's readers take for granted that a file is what a writer made: of one that is damaged they return
/// an error at most places, not at all.
///
/// # Errors
/// The panic's message.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let earlier = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !IS_CAUGHT.get() {
                earlier(info);
            }
        }));
    });
    let was_caught = IS_CAUGHT.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    IS_CAUGHT.set(was_caught);
    result.map_err(|payload| message(payload.as_ref()))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("its reader gave up").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_its_message() {
        assert_eq!(catch(|| 1), Ok(1));
        assert_eq!(catch(|| panic!("no {}", "page")), Err::<(), _>("no page".to_owned()));
        assert_eq!(catch(|| catch(|| panic!("within")).is_err()), Ok(true));
    }
}
