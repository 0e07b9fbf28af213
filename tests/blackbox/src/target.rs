//! What kind of gateway the deployment stands behind, as far as it shows on a socket. Each difference is a row of the table "What it
//! gets wrong" in localstack/README.md; there are no others, and a test that differs names its row.

/// A gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// API Gateway, or the local cloud, which behaves as that does.
    Aws,
    /// The emulator.
    MiniStack,
}

impl Target {
    /// The status that refuses a missing or bad token.
    pub fn status_of_bad_token(self) -> u16 {
        match self {
            Self::Aws => 401,
            // "Any error of the authorizer is a 500".
            Self::MiniStack => 500,
        }
    }

    /// The status that refuses a missing or bad device.
    pub fn status_of_bad_device(self) -> u16 {
        match self {
            Self::Aws => 400,
            // "Any refusal by `$connect` itself is a 403".
            Self::MiniStack => 403,
        }
    }

    /// Whether what is too large or binary closes the connection.
    pub fn closes_what_it_cannot_carry(self) -> bool {
        match self {
            Self::Aws => true,
            // "No limit of sizes", and "A binary frame is taken as text".
            Self::MiniStack => false,
        }
    }

    /// Whether it bears a group that is filled, which is many thousand envelopes.
    pub fn bears_crowds(self) -> bool {
        match self {
            Self::Aws => true,
            // "It has one process for all services".
            Self::MiniStack => false,
        }
    }
}
