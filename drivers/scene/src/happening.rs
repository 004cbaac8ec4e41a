//! What can happen in the world, and which senses can tell it.

use Sense::{Audio, Depth, Image, Imu, Thermal};

/// One of the five senses the world is rendered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sense {
    /// The colour camera.
    Image,
    /// The microphone.
    Audio,
    /// The thermal camera.
    Thermal,
    /// The depth camera.
    Depth,
    /// Accelerometer and gyroscope.
    Imu,
}

impl Sense {
    /// Every sense.
    pub const ALL: &'static [Sense] = &[Image, Audio, Thermal, Depth, Imu];
}

macro_rules! happenings {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, [$($sense:ident),+];)+) => {
        /// Something that happens near the sensors.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Happening { $($(#[$doc])* $variant,)+ }

        impl Happening {
            /// Every happening, in the order of declaration.
            pub const ALL: &'static [Happening] = &[$(Happening::$variant),+];

            /// The stable name. The ten sound classes of ESC-10 (Piczak 2015) carry their folder names.
            pub fn name(self) -> &'static str {
                match self { $(Happening::$variant => $name),+ }
            }

            /// The happening of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Happening::$variant),)+ _ => None }
            }

            /// The senses whose rendering tells this happening from the others that sense lists, and from nothing.
            /// A sense that is not listed may still carry a trace.
            pub fn sensed_by(self) -> &'static [Sense] {
                match self { $(Happening::$variant => &[$($sense),+]),+ }
            }
        }
    };
}

happenings! {
    /// An open fire that crackles.
    Fire = "fire_crackling", [Image, Audio, Thermal];
    /// A dog that barks.
    Dog = "dog_bark", [Image, Audio, Thermal, Depth];
    /// Rain.
    Rain = "rain", [Image, Audio, Thermal];
    /// A pane of glass that shatters.
    GlassBreaking = "glass_breaking", [Image, Audio];
    /// An emergency vehicle with lamp and siren on.
    Siren = "siren", [Image, Audio];
    /// A motor that runs close by, felt through the floor.
    Engine = "engine", [Image, Audio, Thermal, Imu];
    /// A person who walks past.
    PersonWalking = "person_walking", [Image, Audio, Thermal, Depth, Imu];
    /// A person who falls and lies on the floor.
    PersonFalling = "person_falling", [Image, Audio, Thermal, Depth, Imu];
    /// A hand lifts the device and turns it.
    PickedUp = "picked_up", [Image, Thermal, Depth, Imu];
    /// The device is shaken hard.
    Shaken = "shaken", [Image, Audio, Imu];
    /// The device rides in a vehicle.
    Driven = "driven", [Image, Audio, Depth, Imu];
    /// A hot kettle, iron or stove plate.
    HotObject = "hot_object", [Image, Thermal];
    /// A door that opens and falls shut.
    DoorOpening = "door_opening", [Image, Audio, Depth, Imu];
    /// A person right in front of the device, talking.
    SomeoneClose = "someone_close", [Image, Audio, Thermal, Depth];
    /// Waves that break on a beach.
    SeaWaves = "sea_waves", [Image, Audio];
    /// A baby that cries.
    BabyCry = "baby_cry", [Image, Audio, Thermal];
    /// A clock that ticks.
    ClockTick = "clock_tick", [Image, Audio];
    /// A person who sneezes.
    Sneeze = "person_sneeze", [Image, Audio];
    /// A helicopter overhead.
    Helicopter = "helicopter", [Image, Audio];
    /// A chainsaw that cuts wood.
    Chainsaw = "chainsaw", [Image, Audio];
    /// A rooster that crows.
    Rooster = "rooster", [Image, Audio];
}
