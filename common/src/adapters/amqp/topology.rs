//! Exchanges, queues and bindings, as data.
//!
//! ```text
//!   ingest  (topic) ──#──────▶ ingest.uploads ─┐
//!   tasks   (direct) ─class──▶ tasks.<class> ──┤ rejected, delivered too often, expired, too many
//!   out     (topic) ─────────▶ whoever bound   │
//!     └ no taker ▶ unrouted ─▶ out.events ─────┴──▶ dead (topic) ──#──▶ dead
//! ```
//!
//! Everything is durable and every queue a quorum queue. Only what can never change is an argument: a queue declared
//! again with another argument is refused. Limits are policies (`deploy/rabbitmq/policies.json`), which an operator
//! changes while the fleet runs. Nothing here is known to be refused by RabbitMQ 4: no priorities by argument, nothing
//! transient, exclusive or classic.

use std::collections::BTreeMap;

use crate::ports::broker::{Class, EVENTS};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Topology {
    pub(super) exchanges: Vec<Exchange>,
    pub(super) queues: Vec<Queue>,
    pub(super) bindings: Vec<Binding>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exchange {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) arguments: Arguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Direct,
    Fanout,
    Topic,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) arguments: Arguments,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) exchange: String,
    pub(super) queue: String,
    pub(super) key: String,
}

pub(super) type Arguments = BTreeMap<&'static str, String>;

/// What things are called under one prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) prefix: String,
}

impl Names {
    pub(super) fn of(&self, what: &str) -> String {
        format!("{}.{what}", self.prefix)
    }

    pub(super) fn tasks(&self) -> String {
        self.of("tasks")
    }

    pub(super) fn class(&self, class: &Class) -> String {
        self.of(&format!("tasks.{class}"))
    }

    pub(super) fn ingest(&self) -> String {
        self.of("ingest")
    }

    /// Messages about uploads, whoever sent them.
    pub(super) fn uploads(&self) -> String {
        self.of("ingest.uploads")
    }

    pub(super) fn out(&self) -> String {
        self.of("out")
    }

    /// Events that nobody else bound a queue for.
    pub(super) fn events(&self) -> String {
        self.of(EVENTS)
    }

    pub(super) fn dead(&self) -> String {
        self.of("dead")
    }
}

impl Topology {
    pub(super) fn none() -> Self {
        Self { exchanges: Vec::new(), queues: Vec::new(), bindings: Vec::new() }
    }

    pub(super) fn new(names: &Names, classes: &[Class]) -> Self {
        let (ingest, uploads) = (names.ingest(), names.uploads());
        let unrouted = names.of("unrouted");
        let alternate = Arguments::from([("alternate-exchange", unrouted.clone())]);
        let exchanges = vec![
            Exchange::new(names.dead(), Kind::Topic),
            Exchange::new(ingest.clone(), Kind::Topic),
            Exchange::new(names.tasks(), Kind::Direct),
            Exchange::new(unrouted.clone(), Kind::Fanout),
            Exchange { arguments: alternate, ..Exchange::new(names.out(), Kind::Topic) },
        ];
        // Whatever the dead letters cannot hold has nowhere else to go: they have no dead letters of their own.
        let dead = Queue::named(&names.dead());
        let mut queues = vec![dead, Queue::buried(uploads.clone(), names), Queue::buried(names.events(), names)];
        let mut bindings = vec![
            Binding::new(&names.dead(), &names.dead(), "#"),
            Binding::new(&ingest, &uploads, "#"),
            Binding::new(&unrouted, &names.events(), ""),
        ];
        for class in classes {
            queues.push(Queue::buried(names.class(class), names));
            bindings.push(Binding::new(&names.tasks(), &names.class(class), class.as_str()));
        }
        Self { exchanges, queues, bindings }
    }
}

impl Exchange {
    fn new(name: String, kind: Kind) -> Self {
        Self { name, kind, arguments: Arguments::new() }
    }
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
        }
    }
}

impl Queue {
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), arguments: Arguments::from([("x-queue-type", "quorum".to_owned())]) }
    }

    /// A queue whose given-up messages become dead letters, at least once; a full one refuses its publisher, because
    /// whatever drops its oldest message cannot promise that.
    fn buried(name: String, names: &Names) -> Self {
        let arguments = Arguments::from([
            ("x-queue-type", "quorum".to_owned()),
            ("x-dead-letter-exchange", names.dead()),
            ("x-dead-letter-routing-key", name.clone()),
            ("x-dead-letter-strategy", "at-least-once".to_owned()),
            ("x-overflow", "reject-publish".to_owned()),
        ]);
        Self { name, arguments }
    }
}

impl Binding {
    fn new(exchange: &str, queue: &str, key: &str) -> Self {
        Self { exchange: exchange.to_owned(), queue: queue.to_owned(), key: key.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DEFINITIONS: &str = include_str!("../../../../deploy/rabbitmq/definitions.json");
    const POLICIES: &str = include_str!("../../../../deploy/rabbitmq/policies.json");
    const VHOST: &str = "framefleet";

    fn topology() -> Topology {
        let names = Names { prefix: "framefleet".to_owned() };
        Topology::new(&names, &[Class::light(), Class::standard(), Class::long()])
    }

    /// As `rabbitmqctl import_definitions` reads it.
    fn definitions(topology: &Topology) -> Value {
        let exchange = |e: &Exchange| {
            json!({"vhost": VHOST, "name": e.name, "type": e.kind.name(), "durable": true, "auto_delete": false,
                "internal": false, "arguments": e.arguments})
        };
        let queue = |q: &Queue| json!({"vhost": VHOST, "name": q.name, "durable": true, "auto_delete": false, "arguments": q.arguments});
        let binding = |b: &Binding| {
            json!({"vhost": VHOST, "source": b.exchange, "destination": b.queue, "destination_type": "queue",
                "routing_key": b.key, "arguments": {}})
        };
        json!({
            "vhosts": [{"name": VHOST}],
            "exchanges": topology.exchanges.iter().map(exchange).collect::<Vec<_>>(),
            "queues": topology.queues.iter().map(queue).collect::<Vec<_>>(),
            "bindings": topology.bindings.iter().map(binding).collect::<Vec<_>>(),
        })
    }

    #[test]
    fn the_shipped_definitions_are_this_topology() {
        let ours = definitions(&topology());
        let shipped: Value = serde_json::from_str(DEFINITIONS).unwrap();
        assert_eq!(shipped, ours, "deploy/rabbitmq/definitions.json should be\n{ours:#}");
    }

    #[test]
    fn nothing_is_declared_that_rabbitmq_4_refuses() {
        let known = [
            "x-queue-type",
            "x-dead-letter-exchange",
            "x-dead-letter-routing-key",
            "x-dead-letter-strategy",
            "x-overflow",
        ];
        for queue in topology().queues {
            assert_eq!(queue.arguments["x-queue-type"], "quorum", "{}", queue.name);
            assert!(queue.arguments.keys().all(|key| known.contains(key)), "{queue:?}");
        }
        let shipped: Value = serde_json::from_str(DEFINITIONS).unwrap();
        for declared in shipped["queues"].as_array().unwrap().iter().chain(shipped["exchanges"].as_array().unwrap()) {
            assert_eq!((&declared["durable"], &declared["auto_delete"]), (&json!(true), &json!(false)), "{declared}");
        }
    }

    #[test]
    fn what_is_given_up_becomes_a_dead_letter_at_least_once() {
        let topology = topology();
        let (dead, others): (Vec<_>, Vec<_>) = topology.queues.iter().partition(|q| q.name == "framefleet.dead");
        assert_eq!((dead.len(), others.len()), (1, 5));
        for queue in others {
            let argument = |name: &str| queue.arguments[name].as_str();
            assert_eq!(argument("x-dead-letter-exchange"), "framefleet.dead");
            assert_eq!(argument("x-dead-letter-routing-key"), queue.name);
            // the one works only with the other
            assert_eq!(argument("x-dead-letter-strategy"), "at-least-once");
            assert_eq!(argument("x-overflow"), "reject-publish");
        }
    }

    #[test]
    fn everything_bound_exists_and_every_queue_is_bound() {
        let topology = topology();
        for binding in &topology.bindings {
            assert!(topology.exchanges.iter().any(|e| e.name == binding.exchange), "{binding:?}");
        }
        for queue in &topology.queues {
            assert_eq!(topology.bindings.iter().filter(|b| b.queue == queue.name).count(), 1, "{}", queue.name);
        }
    }

    /// A key that a policy and an argument both set would be one that nobody can change.
    #[test]
    fn shipped_policies_set_limits_and_nothing_that_arguments_set() {
        let policies: Value = serde_json::from_str(POLICIES).unwrap();
        let policies = policies["policies"].as_array().unwrap();
        let covering = |queue: &str| {
            let covers = |policy: &&Value| {
                let pattern = policy["pattern"].as_str().unwrap().trim_start_matches('^').replace("\\.", ".");
                let (start, whole) = (pattern.trim_end_matches('$'), pattern.ends_with('$'));
                if whole { queue == start } else { queue.starts_with(start) }
            };
            policies.iter().filter(covers).collect::<Vec<_>>()
        };
        for queue in topology().queues {
            let covering = covering(&queue.name);
            assert_eq!(covering.len(), 1, "of several policies only one is applied: {}", queue.name);
            let limits = covering[0]["definition"].as_object().unwrap();
            assert!(limits.contains_key("max-length"), "{}", queue.name);
            assert!(limits.keys().all(|key| !queue.arguments.contains_key(format!("x-{key}").as_str())), "{limits:?}");
        }
    }
}
