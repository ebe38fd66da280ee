//! What a stream has ready now, without waiting for more.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::{Stream, StreamExt};

/// The next item where it is there already, else `None`; `Some(None)` at the end.
///
/// It is asked for with the waker of whoever awaits this. A stream of keys keeps the first waker that found nothing: asked with another one, as `now_or_never`
/// does, it would wake nobody at the next key, which then waited for whatever happened next.
pub async fn ready<S: Stream + Unpin>(stream: &mut S) -> Option<Option<S::Item>> {
    poll_fn(|context| {
        Poll::Ready(match stream.poll_next_unpin(context) {
            Poll::Ready(item) => Some(item),
            Poll::Pending => None,
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Keeps the first waker that finds nothing, as a stream of keys does.
    #[derive(Default)]
    struct Keys {
        there: Vec<char>,
        waker: Option<Waker>,
    }

    impl Stream for Keys {
        type Item = char;

        fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<char>> {
            match self.there.pop() {
                Some(key) => Poll::Ready(Some(key)),
                None => {
                    self.waker.get_or_insert_with(|| context.waker().clone());
                    Poll::Pending
                }
            }
        }
    }

    #[test]
    fn whoever_asks_is_woken_by_what_comes_next() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        let mut keys = Keys { there: vec!['a'], waker: None };
        assert_eq!(pin!(ready(&mut keys)).poll(&mut context), Poll::Ready(Some(Some('a'))));
        assert_eq!(pin!(ready(&mut keys)).poll(&mut context), Poll::Ready(None));
        keys.waker.take().unwrap().wake();
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }
}
