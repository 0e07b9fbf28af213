//! A test, and what it needs to be able to pass. Which there are is a program's business.

use std::pin::Pin;

use crate::deployment::Deployment;

/// What a test does. It panics when it fails.
pub type Run = for<'a> fn(&'a Deployment) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A test.
#[derive(Debug)]
pub struct Test {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
    needs: Vec<Need>,
}

/// What not every run or deployment has.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// Somewhere to see wakes.
    Wakes,
    /// More than one attempt.
    Redelivery,
    /// A gateway that closes what it cannot carry.
    Closing,
    /// The HTTP API.
    Http,
    /// A platform endpoint of SNS.
    PlatformEndpoint,
    /// Leave to give a deployment so much to do that nothing else is tested meanwhile.
    Crowd,
}

impl Test {
    /// A test that can pass anywhere. [`test!`](crate::test!) names it.
    pub fn new(name: &'static str, run: Run) -> Self {
        Self { name, run, needs: Vec::new() }
    }

    /// The same, where it can pass only with this.
    #[must_use]
    pub fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// What it is called, `module::test`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Why it cannot pass here, if so.
    pub(crate) fn missing(&self, deployment: &Deployment) -> Option<String> {
        self.needs.iter().find_map(|need| match need {
            Need::Wakes if !deployment.sees_wakes() => {
                Some("neither --pushes nor --webhook says where wakes can be seen".to_owned())
            }
            Need::Redelivery if deployment.waits().attempts() < 2 => {
                Some("with a single wait there is no second attempt".to_owned())
            }
            Need::Closing if !deployment.target().closes_what_it_cannot_carry() => Some(
                "MiniStack has no limit of sizes and takes binary frames as text (localstack/README.md)".to_owned(),
            ),
            Need::Http if !deployment.has_http() => Some("--http does not say where the HTTP API is".to_owned()),
            Need::PlatformEndpoint if deployment.platform_endpoint().is_none() => {
                Some("--platform-endpoint does not name one".to_owned())
            }
            Need::Crowd if !deployment.target().bears_crowds() => {
                Some("MiniStack does not keep up with the news (localstack/README.md)".to_owned())
            }
            Need::Crowd if !deployment.may_crowd() => Some("--crowd does not allow it".to_owned()),
            Need::Wakes | Need::Redelivery | Need::Closing | Need::Http | Need::PlatformEndpoint | Need::Crowd => None,
        })
    }
}

/// The test that is this function of this module.
#[macro_export]
macro_rules! test {
    ($module:ident::$test:ident) => {
        $crate::Test::new(concat!(stringify!($module), "::", stringify!($test)), |deployment| {
            Box::pin($module::$test(deployment))
        })
    };
}
