//! The two throttles that close connections: tokens for connects (BlueThrottle) and the budget of
//! large requests.
//!
//! Guarantees: off by default and then free of cost; no clock and no randomness but what is handed
//! in. Sources: `client-protocol.md` 9.4 and 9.5, ZOOKEEPER-3243, ZOOKEEPER-3177.

use std::collections::VecDeque;

use rookeeper_proto::Zxid;

/// Settings of [`ConnectionTokens`]: the keys `connection_throttle_*`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConnectionTokensConfig {
    /// Size of the bucket; 0 is off.
    pub tokens: u32,
    /// Milliseconds between refills.
    pub fill_time_ms: u64,
    /// Tokens per refill.
    pub fill_count: u32,
    /// Milliseconds between changes of the drop probability; `None` is off.
    pub freeze_time_ms: Option<u64>,
    /// Step up of the drop probability.
    pub drop_increase: f64,
    /// Step down.
    pub drop_decrease: f64,
    /// Share of the bucket that may be empty for a step down.
    pub decrease_ratio: f64,
    /// Tokens of a new session.
    pub new_weight: u32,
    /// Tokens of a resumed one.
    pub renew_weight: u32,
}

impl Default for ConnectionTokensConfig {
    fn default() -> Self {
        Self {
            tokens: 0,
            fill_time_ms: 1,
            fill_count: 1,
            freeze_time_ms: None,
            drop_increase: 0.02,
            drop_decrease: 0.002,
            decrease_ratio: 0.0,
            new_weight: 1,
            renew_weight: 1,
        }
    }
}

/// A token bucket with a drop probability that follows how empty the bucket is.
#[derive(Debug, Clone)]
pub struct ConnectionTokens {
    config: ConnectionTokensConfig,
    tokens: u32,
    filled_at_ms: u64,
    frozen_at_ms: u64,
    drop: f64,
    rng: u64,
}

impl ConnectionTokens {
    /// A full bucket.
    pub fn new(config: ConnectionTokensConfig, now_ms: u64, seed: u64) -> Self {
        Self {
            config,
            tokens: config.tokens,
            filled_at_ms: now_ms,
            frozen_at_ms: now_ms,
            drop: 0.0,
            rng: seed | 1,
        }
    }

    /// Takes the tokens of one connect. False: it is to be closed without an answer.
    pub fn admits(&mut self, now_ms: u64, is_new: bool) -> bool {
        if self.config.tokens == 0 {
            return true;
        }
        self.fill(now_ms);
        if let Some(freeze_ms) = self.config.freeze_time_ms {
            self.adapt(now_ms, freeze_ms);
            if self.random_share() < self.drop {
                return false;
            }
        }
        let need = if is_new { self.config.new_weight } else { self.config.renew_weight };
        match self.tokens.checked_sub(need) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => {
                self.frozen_at_ms = now_ms;
                false
            }
        }
    }

    fn fill(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.filled_at_ms);
        let fill_ms = self.config.fill_time_ms.max(1);
        if fill_ms < passed_ms {
            let tokens = passed_ms.saturating_mul(u64::from(self.config.fill_count)) / fill_ms;
            let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(tokens).min(self.config.tokens);
            self.filled_at_ms = now_ms;
        }
    }

    /// Raises the probability while the bucket is empty, lowers it while it is full enough.
    fn adapt(&mut self, now_ms: u64, freeze_ms: u64) {
        if now_ms.saturating_sub(self.frozen_at_ms) <= freeze_ms {
            return;
        }
        let threshold = (f64::from(self.config.tokens) * self.config.decrease_ratio).round();
        if self.tokens == 0 && self.drop < 1.0 {
            self.drop = (self.drop + self.config.drop_increase).min(1.0);
        } else if f64::from(self.deficit()) <= threshold && 0.0 < self.drop {
            self.drop = (self.drop - self.config.drop_decrease).max(0.0);
        }
        self.frozen_at_ms = now_ms;
    }

    /// Between 0 and 1 (xorshift64*: seeded, so that a simulation repeats).
    fn random_share(&mut self) -> f64 {
        self.rng ^= self.rng >> 12;
        self.rng ^= self.rng << 25;
        self.rng ^= self.rng >> 27;
        (self.rng.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Tokens missing from a full bucket: `connection_token_deficit`.
    pub fn deficit(&self) -> u32 {
        self.config.tokens - self.tokens
    }

    /// The share of connects that is dropped: `connection_drop_probability`.
    pub fn drop_probability(&self) -> f64 {
        self.drop
    }
}

/// Settings of [`LargeRequests`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LargeRequestsConfig {
    /// `largeRequestThreshold`: a larger request counts; `None` is off.
    pub threshold_bytes: Option<usize>,
    /// `largeRequestMaxBytes`: what all in flight may hold together.
    pub max_bytes: usize,
}

/// Large requests in flight.
///
/// Only writes stay in flight; a large read (setWatches) is answered on arrival and never adds up.
#[derive(Debug, Clone, Default)]
pub struct LargeRequests {
    config: LargeRequestsConfig,
    in_flight: VecDeque<(Zxid, usize)>,
    bytes: usize,
}

impl LargeRequests {
    /// Nothing in flight.
    pub fn new(config: LargeRequestsConfig) -> Self {
        Self { config, in_flight: VecDeque::new(), bytes: 0 }
    }

    fn is_large(&self, bytes: usize) -> bool {
        self.config.threshold_bytes.is_some_and(|threshold| threshold < bytes)
    }

    /// Whether a request of this size may be taken. Asked as soon as its length is known.
    #[inline]
    pub fn admits(&self, bytes: usize) -> bool {
        !self.is_large(bytes) || self.bytes.saturating_add(bytes) <= self.config.max_bytes
    }

    /// A request of this size became a txn.
    #[inline]
    pub fn began(&mut self, zxid: Zxid, bytes: usize) {
        if self.is_large(bytes) {
            self.in_flight.push_back((zxid, bytes));
            self.bytes += bytes;
        }
    }

    /// All txns up to this one are answered.
    pub fn ended(&mut self, zxid: Zxid) {
        while let Some(&(at, bytes)) = self.in_flight.front()
            && at <= zxid
        {
            self.in_flight.pop_front();
            self.bytes -= bytes;
        }
    }

    /// Everything in flight was dropped.
    pub fn clear(&mut self) {
        self.in_flight.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(config: ConnectionTokensConfig) -> ConnectionTokens {
        ConnectionTokens::new(config, 1000, 7)
    }

    #[test]
    fn without_tokens_everybody_is_admitted() {
        let mut off = bucket(ConnectionTokensConfig::default());
        assert!((0..1000).all(|_| off.admits(1000, true)));
        assert_eq!((off.deficit(), off.drop_probability()), (0, 0.0));
    }

    #[test]
    fn a_bucket_empties_and_fills() {
        let config = ConnectionTokensConfig { tokens: 3, fill_time_ms: 10, ..Default::default() };
        let mut three = bucket(config);
        let admitted: Vec<bool> = (0..5).map(|_| three.admits(1000, true)).collect();
        assert_eq!(admitted, [true, true, true, false, false]);
        assert_eq!(three.deficit(), 3);
        assert!(!three.admits(1010, true), "filled only after more than fill_time");
        assert!(three.admits(1011, true));
        assert!(!three.admits(1012, true));
        assert!(three.admits(9000, true));
        assert_eq!(three.deficit(), 1, "never more than the bucket holds");
    }

    #[test]
    fn weights_tell_new_sessions_from_resumed_ones() {
        let weights = ConnectionTokensConfig {
            tokens: 6,
            fill_time_ms: 1_000_000,
            new_weight: 3,
            renew_weight: 2,
            ..Default::default()
        };
        let mut six = bucket(weights);
        assert!(six.admits(1000, true));
        assert!(six.admits(1000, false));
        assert!(!six.admits(1000, false), "one token is left");
        assert_eq!(six.deficit(), 5);
    }

    #[test]
    fn the_drop_probability_rises_while_empty_and_falls_while_full() {
        let mut blue = bucket(ConnectionTokensConfig {
            tokens: 1,
            fill_time_ms: 1_000_000,
            freeze_time_ms: Some(10),
            drop_increase: 0.6,
            drop_decrease: 0.5,
            decrease_ratio: 1.0,
            ..Default::default()
        });
        assert!(blue.admits(1000, true));
        assert_eq!(blue.drop_probability(), 0.0);
        assert!(!blue.admits(1011, true));
        assert_eq!(blue.drop_probability(), 0.6);
        let _ = blue.admits(1100, true);
        assert_eq!(blue.drop_probability(), 1.0);
        assert!(!blue.admits(1105, true), "everything is dropped now");
        let _ = blue.admits(2_100_000, true);
        assert_eq!(blue.drop_probability(), 0.5, "the bucket is full again");
    }

    #[test]
    fn large_requests_share_a_budget() {
        let config = LargeRequestsConfig { threshold_bytes: Some(100), max_bytes: 500 };
        let mut large = LargeRequests::new(config);
        large.began(Zxid(1), 100);
        assert!(large.admits(500), "100 bytes are not large");
        large.began(Zxid(2), 300);
        large.began(Zxid(3), 150);
        assert!(!large.admits(101));
        assert!(large.admits(100), "small ones always pass");
        large.ended(Zxid(2));
        assert!(large.admits(350));
        large.clear();
        assert!(large.admits(500));
        assert!(!large.admits(501));
        assert!(LargeRequests::default().admits(usize::MAX), "off");
    }
}
