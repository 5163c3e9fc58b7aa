//! The waker, timers, and sleeping.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::rig::{PATIENCE, Rig, echo};

#[test]
fn another_thread_wakes_a_sleeping_reactor() {
    let mut rig = Rig::new(echo());
    let waker = rig.waker();
    let thread = thread::spawn(move || waker.wake());
    // Would sleep for ever, or nearly.
    let start = Instant::now();
    while rig.script.wakes == 0 {
        rig.reactor.turn(&mut rig.script, Some(PATIENCE)).unwrap();
    }
    assert!(start.elapsed() < PATIENCE);
    thread.join().unwrap();
}

#[test]
fn wakes_coalesce() {
    let mut rig = Rig::new(echo());
    let waker = rig.waker();
    for _ in 0..1000 {
        waker.wake();
    }
    for _ in 0..10 {
        rig.turn();
    }
    assert_eq!(rig.script.wakes, 1);
}

#[test]
fn no_wake_is_lost_in_a_race_with_falling_asleep() {
    const ROUNDS: usize = 20_000;
    let mut rig = Rig::new(echo());
    let waker = rig.waker();
    let (asked, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    let thread = {
        let (asked, seen, over) = (asked.clone(), seen.clone(), over.clone());
        thread::spawn(move || {
            for round in 1..=ROUNDS {
                asked.store(round, Ordering::Release);
                waker.wake();
                while seen.load(Ordering::Acquire) < round && !over.load(Ordering::Acquire) {
                    std::hint::spin_loop();
                }
            }
        })
    };
    let mut handled = 0;
    while handled < ROUNDS {
        let (wakes, start) = (rig.script.wakes, Instant::now());
        rig.reactor.turn(&mut rig.script, Some(PATIENCE)).unwrap();
        if start.elapsed() >= PATIENCE {
            over.store(true, Ordering::Release);
            panic!("a wake was lost after {handled}");
        }
        if rig.script.wakes > wakes {
            handled = asked.load(Ordering::Acquire);
            seen.store(handled, Ordering::Release);
        }
    }
    thread.join().unwrap();
}

#[test]
fn the_timer_is_called_at_its_deadline_and_not_before() {
    let mut rig = Rig::new(echo());
    let deadline = Instant::now() + Duration::from_millis(30);
    rig.script.deadline = Some(deadline);
    rig.turn();
    if Instant::now() < deadline {
        assert!(rig.script.timers.is_empty());
    }
    while rig.script.timers.is_empty() {
        rig.reactor.turn(&mut rig.script, Some(PATIENCE)).unwrap();
    }
    let called = rig.script.timers[0];
    assert!(called >= deadline && called < deadline + PATIENCE / 2, "{:?}", called - deadline);
}

#[test]
fn an_idle_reactor_sleeps() {
    let mut rig = Rig::new(echo());
    let (_client, _) = rig.client();
    let paused = rig.client();
    rig.io().pause(paused.1);
    // What the connections' registration raised is over by then.
    for _ in 0..5 {
        rig.turn();
    }
    let (start, nap) = (Instant::now(), Duration::from_millis(50));
    rig.reactor.turn(&mut rig.script, Some(nap)).unwrap();
    assert!(start.elapsed() >= nap, "{:?}", start.elapsed());
}
