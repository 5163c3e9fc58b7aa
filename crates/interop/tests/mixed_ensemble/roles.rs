//! Each role by each side, for both generations of Apache.

use rookeeper_interop::Flavour;

use crate::battery;
use crate::cluster::Cluster;
use crate::synchronisation::{ahead_and_back, away_and_back};

const OURS: Flavour = Flavour::Rookeeper;

fn rookeeper_follows(apache: Flavour) {
    let mut cluster = Cluster::start(&[OURS, apache, apache], &[]);
    let leader = cluster.wait_for_leader();
    assert_ne!(leader, 0, "with equal logs a higher id leads");
    battery::all(&cluster, "followed");
    away_and_back(&mut cluster, 0);
    let leader = cluster.wait_for_leader();
    ahead_and_back(&mut cluster, 0, leader, 3 - leader);
    battery::all(&cluster, "followed-again");
}

fn rookeeper_leads(apache: Flavour) {
    let mut cluster = Cluster::prepare(&[apache, apache, OURS], &[]);
    cluster.launch(&[1, 2]);
    cluster.launch(&[0]);
    cluster.assert_leader(2);
    battery::all(&cluster, "led");
    away_and_back(&mut cluster, 0);
    ahead_and_back(&mut cluster, 0, 2, 1);
    battery::all(&cluster, "led-again");
}

fn rookeeper_observes(apache: Flavour) {
    let mut cluster = Cluster::start(&[apache, apache], &[OURS]);
    assert_ne!(cluster.wait_for_leader(), 2);
    assert_eq!(cluster.server(2).mode().as_deref(), Some("observer"));
    battery::all(&cluster, "observed");
    away_and_back(&mut cluster, 2);
    battery::all(&cluster, "observed-again");
}

fn apache_observes(apache: Flavour) {
    let mut cluster = Cluster::start(&[OURS, OURS], &[apache]);
    assert_ne!(cluster.wait_for_leader(), 2);
    assert_eq!(cluster.server(2).mode().as_deref(), Some("observer"));
    battery::all(&cluster, "observed");
    away_and_back(&mut cluster, 2);
    battery::all(&cluster, "observed-again");
}

macro_rules! with {
    ($generation:ident, $flavour:expr) => {
        mod $generation {
            use rookeeper_interop::Flavour;

            #[test]
            fn rookeeper_follows() {
                super::rookeeper_follows($flavour);
            }

            #[test]
            fn rookeeper_leads() {
                super::rookeeper_leads($flavour);
            }

            #[test]
            fn rookeeper_observes() {
                super::rookeeper_observes($flavour);
            }

            #[test]
            fn apache_observes() {
                super::apache_observes($flavour);
            }
        }
    };
}

with!(apache_395, Flavour::APACHE_395);
with!(apache_380, Flavour::APACHE_380);
