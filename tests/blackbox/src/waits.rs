//! The deployment's waits between attempts, and how long they can take. It waits for nothing itself.

use std::str::FromStr;
use std::time::Duration;

/// The waits after each attempt; as many attempts are made as there are waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits(Vec<Duration>);

impl Waits {
    /// How many attempts are made.
    pub fn attempts(&self) -> usize {
        self.0.len()
    }

    /// The wait after the first attempt, as it is at least.
    pub fn first(&self) -> Duration {
        self.0[0]
    }

    /// Longest time from the first attempt to the `attempt`th: each wait may be lengthened by a fifth and is rounded to whole seconds.
    pub fn until(&self, attempt: usize) -> Duration {
        self.0.iter().take(attempt.saturating_sub(1)).map(|wait| longest(*wait)).sum()
    }

    /// Longest time from the first attempt until all are used up.
    pub fn until_exhausted(&self) -> Duration {
        self.until(self.attempts() + 1)
    }
}

fn longest(wait: Duration) -> Duration {
    Duration::from_secs_f64((wait.as_secs_f64() * 1.2).ceil())
}

impl FromStr for Waits {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let says = "1 to 10 whole numbers of seconds from 1 to 750, separated by commas, such as 5,15,45,5";
        let seconds =
            text.split(',').map(|part| part.trim().parse().ok().filter(|seconds| (1..=750).contains(seconds)));
        let waits: Option<Vec<Duration>> = seconds.map(|seconds| seconds.map(Duration::from_secs)).collect();
        waits.filter(|waits| waits.len() <= 10).map(Self).ok_or(says)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_lengthened_by_a_fifth() {
        let waits: Waits = "5,15,45,5".parse().expect("waits");
        let until = |attempt| waits.until(attempt).as_secs();
        assert_eq!((until(1), until(2), until(3), until(4)), (0, 6, 24, 78));
        assert_eq!(waits.until_exhausted().as_secs(), 84);
        assert_eq!("1,1".parse::<Waits>().expect("waits").until_exhausted().as_secs(), 4);
    }

    #[test]
    fn what_is_no_list_of_waits_is_refused() {
        for bad in ["", "0", "5,", "a", "751", "1,1,1,1,1,1,1,1,1,1,1"] {
            assert!(bad.parse::<Waits>().is_err(), "{bad}");
        }
    }
}
