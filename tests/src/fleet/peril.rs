//! What one role meets at its ports: calls that fail before or after they took place, that come late, that are the
//! role's last.

use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

use crate::fleet::dice::Dice;
use crate::fleet::storm::Storm;

const LATE_MS_MAX: u64 = 3_000;
const OF: u64 = 10_000;

/// One life of a role, as seen by what may end it.
pub struct Peril {
    pub name: String,
    pub dice: Dice,
    pub storm: Arc<Storm>,
    mortal: Mortal,
    dead: CancellationToken,
    ice: Mutex<Option<Pin<Box<Sleep>>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mortal {
    Yes,
    /// Callers from outside, whose death is nobody's business.
    No,
}

/// How a call that begins now fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luck {
    Good,
    FailsBefore,
    FailsAfter,
    /// It takes place, and its answer takes so long.
    Late(Duration),
    DiesBefore,
    DiesAfter,
}

impl Peril {
    pub fn new(name: &str, storm: Arc<Storm>, dice: &Dice, mortal: Mortal) -> Self {
        let dice = dice.of(name);
        Self { name: name.to_owned(), dice, storm, mortal, dead: CancellationToken::new(), ice: Mutex::default() }
    }

    /// A port call, by luck. `lost` makes the error of a call that failed.
    pub async fn call<T, E>(
        &self,
        what: &'static str,
        lost: impl Fn(&str) -> E,
        doing: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if self.dead.is_cancelled() {
            return pending().await;
        }
        match self.luck(what) {
            Luck::Good => doing.await,
            Luck::FailsBefore => Err(lost("as rolled, before")),
            Luck::FailsAfter => doing.await.and_then(|_| Err(lost("as rolled, after"))),
            Luck::Late(time) => {
                let answer = doing.await;
                tokio::time::sleep(time).await;
                answer
            }
            Luck::DiesBefore => self.die(what).await,
            Luck::DiesAfter => {
                drop(doing.await);
                self.die(what).await
            }
        }
    }

    fn luck(&self, what: &'static str) -> Luck {
        if self.storm.is_calm() {
            return Luck::Good;
        }
        let weather = &self.storm.weather;
        let roll = self.dice.roll(OF);
        let (fails, deaths) = (weather.fails, weather.deaths);
        let ends = [fails, fails * 2, fails * 2 + weather.delays];
        let luck = match ends.iter().position(|end| roll < *end) {
            Some(0) => Luck::FailsBefore,
            Some(1) => Luck::FailsAfter,
            Some(_) => Luck::Late(Duration::from_millis(self.dice.roll(LATE_MS_MAX))),
            None if self.mortal == Mortal::Yes && roll >= OF - deaths && self.storm.may_lose() => {
                if roll.is_multiple_of(2) { Luck::DiesBefore } else { Luck::DiesAfter }
            }
            None => return Luck::Good,
        };
        let kind = match luck {
            Luck::Good => "good",
            Luck::FailsBefore => "call failed before",
            Luck::FailsAfter => "call failed after",
            Luck::Late(_) => "call late",
            Luck::DiesBefore => "died before a call",
            Luck::DiesAfter => "died after a call",
        };
        self.storm.tell(kind, format_args!("{}: {what}: {luck:?}", self.name));
        luck
    }

    /// The role ends here, and nothing of it goes on.
    pub async fn die<T>(&self, of: &str) -> T {
        self.storm.tell("death", format_args!("{} dies of {of}", self.name));
        self.dead.cancel();
        pending().await
    }

    pub fn kill(&self) {
        self.dead.cancel();
    }

    /// Time passes for all but this role.
    pub fn freeze(&self, time: Duration) {
        self.storm.tell("freeze", format_args!("{} freezes for {time:?}", self.name));
        *self.ice.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(tokio::time::sleep(time)));
    }

    /// Runs a role until it ends, or its death.
    pub async fn live(&self, role: impl Future<Output = ()>) {
        let mut role = pin!(role);
        let living = std::future::poll_fn(|cx| {
            let mut ice = self.ice.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(thaw) = ice.as_mut() {
                if thaw.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                *ice = None;
            }
            drop(ice);
            role.as_mut().poll(cx)
        });
        tokio::select! {
            biased;
            () = self.dead.cancelled() => {}
            () = living => {}
        }
    }
}
