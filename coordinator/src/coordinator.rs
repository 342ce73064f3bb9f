//! A coordinator: one engine, one outbox, one dispatcher, one sweeper and some merge slots, side by side.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::child::Media;
use framefleet_common::fleet::Fleet;
use framefleet_model::fault::Fault;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::dispatcher::Dispatcher;
use crate::effects::Effects;
use crate::engine::Engine;
use crate::health::Health;
use crate::inbox::Inbox;
use crate::merge::MergeSlot;
use crate::ops::FleetOps;
use crate::outbox::Outbox;
use crate::sweeper::Sweeper;

#[derive(Clone, Debug)]
pub struct CoordinatorSettings {
    /// How the board names it.
    pub name: String,
    pub merge_slots: usize,
    /// Slots of workers that are known to be there; 0 where nothing is known.
    pub live_slots: usize,
    /// Where merges put their files before they are staged; best on the file system of the outputs.
    pub scratch: PathBuf,
    /// Between heartbeats.
    pub beat: Duration,
}

pub struct Coordinator {
    fleet: Fleet,
    media: Arc<dyn Media>,
    settings: CoordinatorSettings,
    health: Health,
}

impl Coordinator {
    pub fn new(fleet: Fleet, media: Arc<dyn Media>, settings: CoordinatorSettings) -> Self {
        Self { fleet, media, settings, health: Health::default() }
    }

    /// What users ask of a fleet.
    pub fn ops(&self) -> FleetOps {
        let Fleet { store, work, storages, .. } = self.fleet.clone();
        let inbox = Inbox { store, work, storages };
        FleetOps::new(self.effects(), inbox)
    }

    /// Gives every task back that somebody holds. Only where this process owns the store and has just begun: whoever
    /// held them is dead.
    pub async fn adopt(&self) -> Result<(), Fault> {
        Ok(self.sweeper().adopt().await?)
    }

    /// Runs until it is told to stop; merges under way are handed back.
    pub async fn run(&self, stop: CancellationToken) {
        let (engine, outbox, sweeper) = (self.engine(), self.outbox(), self.sweeper());
        let dispatcher = self.dispatcher();
        let slots: Vec<MergeSlot> = (0..self.settings.merge_slots).map(|number| self.merge_slot(number)).collect();
        let merges: FuturesUnordered<_> = slots.iter().map(|slot| slot.run(stop.clone())).collect();
        tokio::join!(
            engine.run(engine.rounds(), stop.clone()),
            outbox.run(stop.clone()),
            sweeper.run(stop.clone()),
            dispatcher.run(stop.clone()),
            merges.collect::<Vec<()>>(),
        );
    }

    fn effects(&self) -> Effects {
        let Fleet { store, work, storages, clock, .. } = self.fleet.clone();
        Effects { store, work, storages, clock, health: self.health.clone() }
    }

    fn engine(&self) -> Engine {
        Engine { store: self.fleet.store.clone(), effects: self.effects() }
    }

    fn outbox(&self) -> Outbox {
        let Fleet { store, broker, clock, .. } = self.fleet.clone();
        Outbox { store, broker, clock }
    }

    fn sweeper(&self) -> Sweeper {
        Sweeper { store: self.fleet.store.clone(), board: self.fleet.board(), clock: self.fleet.clock.clone() }
    }

    fn dispatcher(&self) -> Dispatcher {
        let Fleet { store, broker, clock, .. } = self.fleet.clone();
        Dispatcher { store, broker, clock, board: self.fleet.board(), live_slots: self.settings.live_slots }
    }

    fn merge_slot(&self, number: usize) -> MergeSlot {
        MergeSlot {
            effects: self.effects(),
            board: self.fleet.board(),
            media: self.media.clone(),
            mint: self.fleet.mint.clone(),
            name: format!("{} merge {number}", self.settings.name),
            scratch: self.settings.scratch.clone(),
            beat: self.settings.beat,
        }
    }
}
