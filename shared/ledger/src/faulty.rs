//! A store that fails when a test says so.

use crate::store::{Answer, Index, Item, Key, Store, Trouble, Write};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future;
use std::rc::Rc;

/// A call of a store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Call<'a> {
    /// [`Store::get`].
    Get(&'a Key),
    /// [`Store::query`]: the partition, and how the sort keys begin.
    Query(&'a str, &'a str),
    /// [`Store::find`].
    Find(Index, &'a str),
    /// [`Store::write`].
    Write(&'a [Write]),
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is made.
    Go,
    /// It is not made, and has this answer.
    Fail(Trouble),
    /// It is made, and its answer is lost: a write answers that it may have been made.
    Lose,
    /// It is not made, and has no answer ever: whoever waits for it can be dropped, as by a crash before the call.
    Hang,
    /// It is made, and has no answer ever: a crash after the call.
    GoAndHang,
}

/// What becomes of a call, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How often others get their turn before.
    pub yields: usize,
    /// What becomes of it.
    pub act: Act,
}

impl From<Act> for Turn {
    fn from(act: Act) -> Self {
        Self { yields: 0, act }
    }
}

type Script = Box<dyn FnMut(usize, Call<'_>) -> Turn>;

/// A store over another, whose calls go as a script says. The same script over the same calls does the same.
pub struct Faulty<S> {
    inner: S,
    script: RefCell<Script>,
    calls: Cell<usize>,
}

impl<S> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl<S: Store> Faulty<S> {
    /// Before each call the script is asked, with the call's number (from 0). It must not call the store itself.
    pub fn new<T: Into<Turn>>(inner: S, mut script: impl FnMut(usize, Call<'_>) -> T + 'static) -> Self {
        let script: Script = Box::new(move |number, call| script(number, call).into());
        Self { inner, script: RefCell::new(script), calls: Cell::new(0) }
    }

    /// The store below, whose calls always go well.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// How many calls were begun.
    pub fn calls(&self) -> usize {
        self.calls.get()
    }

    async fn turn<T>(&self, call: Call<'_>, made: Answer<'_, T>) -> Result<T, Trouble> {
        let number = self.calls.replace(self.calls.get() + 1);
        let turn = (self.script.borrow_mut())(number, call);
        for _ in 0..turn.yields {
            tokio::task::yield_now().await;
        }
        match turn.act {
            Act::Go => made.await,
            Act::Fail(trouble) => Err(trouble),
            Act::Lose => match made.await {
                // A condition that does not hold is an answer too; it is lost like any other.
                Ok(_) | Err(Trouble::Conflict(_)) => Err(Trouble::Away {
                    why: "the answer was lost".to_owned(),
                    retry: true,
                    perhaps: matches!(call, Call::Write(_)),
                }),
                Err(trouble) => Err(trouble),
            },
            Act::Hang => future::pending().await,
            Act::GoAndHang => {
                let _ = made.await;
                future::pending().await
            }
        }
    }
}

impl<S: Store> Store for Faulty<S> {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Item>> {
        Box::pin(self.turn(Call::Get(key), self.inner.get(key)))
    }

    fn query<'a>(&'a self, pk: &'a str, begins: &'a str, newest_first: bool, limit: usize) -> Answer<'a, Vec<Item>> {
        Box::pin(self.turn(Call::Query(pk, begins), self.inner.query(pk, begins, newest_first, limit)))
    }

    fn find<'a>(&'a self, index: Index, value: &'a str) -> Answer<'a, Vec<Item>> {
        Box::pin(self.turn(Call::Find(index, value), self.inner.find(index, value)))
    }

    fn write<'a>(&'a self, writes: &'a [Write]) -> Answer<'a, ()> {
        Box::pin(self.turn(Call::Write(writes), self.inner.write(writes)))
    }
}

/// A store that several have, each with its own faults over it.
impl<S: Store + ?Sized> Store for Rc<S> {
    fn get<'a>(&'a self, key: &'a Key) -> Answer<'a, Option<Item>> {
        (**self).get(key)
    }

    fn query<'a>(&'a self, pk: &'a str, begins: &'a str, newest_first: bool, limit: usize) -> Answer<'a, Vec<Item>> {
        (**self).query(pk, begins, newest_first, limit)
    }

    fn find<'a>(&'a self, index: Index, value: &'a str) -> Answer<'a, Vec<Item>> {
        (**self).find(index, value)
    }

    fn write<'a>(&'a self, writes: &'a [Write]) -> Answer<'a, ()> {
        (**self).write(writes)
    }
}
