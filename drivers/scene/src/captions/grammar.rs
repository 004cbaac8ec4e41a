//! The words: plain nouns, and the synonyms people type.

use super::Grammar;
use crate::Happening;

macro_rules! words {
    (@actors) => { &[] };
    (@actors $actors:expr) => { &$actors };
    ($prompts:expr, $subjects:expr, $actions:expr, $places:expr $(, actors: $actors:expr)?) => {
        &Grammar {
            prompts: &$prompts,
            subjects: &$subjects,
            actors: words!(@actors $($actors)?),
            actions: &$actions,
            places: &$places,
        }
    };
}

// One list a line reads best here.
#[rustfmt::skip]
pub(super) fn of(happening: Option<Happening>) -> &'static Grammar {
    let Some(happening) = happening else {
        return words!(
            ["nothing is happening", "silence", "an empty room", "a quiet room with nobody in it", "a quiet street", "nothing", "the device stands still", "no one is here", "background noise", "everything is calm"],
            ["an empty room", "a quiet room", "a quiet street", "an empty scene", "silence", "a calm background", "an empty place", "nothing special"],
            ["with nothing happening", "with nobody around", "where nothing moves", "that stays still and quiet"],
            ["at home", "outdoors", "here", "during a quiet moment"]
        );
    };
    match happening {
        Happening::Fire => words!(
            ["crackle of a fire", "a fire is burning", "flames", "fire", "something is on fire", "a crackling campfire", "smoke and flames", "burning wood"],
            ["a fire", "a campfire", "a burning fire", "open flames", "a blaze", "a wood fire", "burning logs", "a bonfire"],
            ["crackling", "burning brightly", "with hot flames and smoke", "throwing sparks", "flickering"],
            ["in the room", "outside", "in the fireplace", "nearby", "on the ground"]
        ),
        Happening::Dog => words!(
            ["a dog barking", "dog", "bark of a dog", "a barking puppy", "a dog is here", "the dog barks"],
            ["a dog", "a puppy", "a barking dog", "a big dog", "a small dog", "a hound", "someone's pet dog", "an excited dog"],
            ["barking", "barking loudly", "standing on four legs", "wagging its tail", "woofing"],
            ["in the room", "outside", "nearby", "in the garden", "at the door"]
        ),
        Happening::Rain => words!(
            ["rain", "sound of rain", "it is raining", "heavy rain outside", "rain is falling", "a rainy day"],
            ["rain", "heavy rain", "a rain shower", "rainfall", "a downpour", "rainy weather", "steady rain", "wet weather"],
            ["falling", "pouring down", "falling in cold drops", "making puddles", "drumming down"],
            ["outside", "in the street", "in the garden", "on wet ground", "from grey clouds"]
        ),
        Happening::GlassBreaking => words!(
            ["glass breaking", "sound of breaking glass", "a window breaks", "shattering glass", "someone broke a window", "broken glass"],
            ["a breaking window", "shattering glass", "a broken window", "broken glass", "a smashed pane of glass", "a shattered window", "glass shards", "a cracked window"],
            ["flying into pieces", "with shards falling down", "smashed to pieces", "crashing", "shattering loudly"],
            ["in the house", "on the floor", "nearby", "in the room", "at the front"]
        ),
        Happening::Siren => words!(
            ["a siren", "siren of an ambulance", "a police car with flashing lights", "emergency siren", "an ambulance is coming", "fire truck siren"],
            ["an ambulance", "a police car", "a fire truck", "an emergency vehicle", "a siren", "a wailing siren", "a police siren", "an emergency siren"],
            ["with flashing lights", "wailing", "howling loudly", "with blue lights flashing", "rushing to an emergency"],
            ["in the street", "outside", "nearby", "on the road", "in the city"]
        ),
        Happening::Engine => words!(
            ["a running engine", "engine", "a motor is running", "engine noise", "a machine is vibrating", "sound of a motor"],
            ["a running engine", "a motor", "an engine", "a running motor", "a diesel engine", "a machine", "a generator", "a hot engine"],
            ["humming", "vibrating", "rumbling", "running with exhaust smoke", "idling"],
            ["in the workshop", "nearby", "in the garage", "outside", "on the floor"]
        ),
        Happening::PersonWalking => words!(
            ["a person walking", "someone is walking", "footsteps", "someone walks by", "sound of footsteps", "a man is walking"],
            ["a walking person", "footsteps", "a pedestrian", "a passer-by", "a walker", "a walking man", "a walking woman", "someone on foot"],
            ["walking", "walking past", "taking steps", "strolling by", "making footsteps"],
            ["in the room", "down the street", "nearby", "across the floor", "outside"],
            actors: ["a person", "someone", "a man", "a woman"]
        ),
        Happening::PersonFalling => words!(
            ["a person falling", "someone fell", "a person has fallen down", "a fall", "someone is lying on the floor", "an elderly person fell"],
            ["a falling person", "a fallen person", "a fall", "a person on the floor", "a bad fall", "a collapsed person", "a falling man", "an elderly person lying down"],
            ["falling down", "falling over", "lying after a fall", "collapsing", "hitting the ground"],
            ["on the floor", "in the room", "nearby", "on the ground", "in the house"],
            actors: ["a person", "someone", "a man", "a woman", "an old person"]
        ),
        Happening::PickedUp => words!(
            ["the device is picked up", "picked up", "someone picks it up", "a hand is holding the device", "the device is lifted", "taken in the hand"],
            ["a lifted device", "a hand holding the device", "a picked up device", "a device in a hand", "fingers around the device", "a hand with the camera", "a tilted device"],
            ["picked up", "being lifted", "held in a hand", "lifted and tilted", "taken by fingers"],
            ["from the table", "by someone", "by a hand", "off the ground", "into the air"],
            actors: ["the device", "the camera", "the box", "the sensor", "a small box"]
        ),
        Happening::Shaken => words!(
            ["the device is shaken", "shaking", "someone shakes the device", "a strong shake", "everything is shaking", "violent shaking"],
            ["a shaken device", "strong shaking", "a shaking box", "a violent shake", "a shaking camera", "hard shaking", "a shaken camera"],
            ["being shaken", "shaking hard", "shaken back and forth", "rattling and shaking", "shaken violently"],
            ["by someone", "up and down", "very fast", "with force", "again and again"],
            actors: ["the device", "the camera", "the box", "the sensor", "a small box"]
        ),
        Happening::Driven => words!(
            ["driving in a car", "the device is in a moving car", "riding on the road", "a car ride", "driven in a vehicle", "driving down the road"],
            ["a car ride", "a drive", "a moving car", "a vehicle on the road", "a road trip", "driving", "a ride", "travel by car"],
            ["over the road", "behind the windscreen", "with the dashboard in front", "moving fast", "with passing trees"],
            ["in a car", "on the highway", "through the country", "on a road", "in traffic"]
        ),
        Happening::HotObject => words!(
            ["something hot", "a hot object", "a hot stove", "a hot kettle", "the stove is on", "an iron left on"],
            ["a hot kettle", "a hot stove", "a hot iron", "a hot object", "something very hot", "a glowing stove plate", "a hot pan", "a heated plate"],
            ["glowing red", "giving off heat", "steaming", "radiating heat", "left switched on"],
            ["in the kitchen", "on the table", "nearby", "on the counter", "at home"]
        ),
        Happening::DoorOpening => words!(
            ["a door opening", "the door opens", "someone opens the door", "a door slams", "an open door", "sound of a door"],
            ["a door", "the door", "an opening door", "the front door", "a wooden door", "an open door", "a creaking door", "a slamming door"],
            ["opening", "swinging open", "slamming shut", "letting light in", "creaking"],
            ["in the room", "in the hallway", "in the house", "at the entrance", "at the front"]
        ),
        Happening::SomeoneClose => words!(
            ["someone is very close", "a face close to the camera", "a person right in front", "someone talking nearby", "a person speaking", "someone came close"],
            ["a close face", "a talking person", "a voice", "a person up close", "a face", "a speaking person", "a face in front", "someone up close"],
            ["very close", "talking up close", "right in front", "speaking into the microphone", "looking at the camera"],
            ["in front of the device", "at the camera", "within reach", "close by", "before the sensor"],
            actors: ["a person", "someone", "a man", "a woman", "a visitor"]
        ),
        Happening::SeaWaves => words!(
            ["sea waves", "sound of the sea", "waves on the beach", "ocean waves", "the sea", "waves are breaking"],
            ["sea waves", "ocean waves", "the sea", "the ocean", "waves", "the surf", "breaking waves", "sea water"],
            ["rolling in", "breaking with white foam", "washing ashore", "roaring softly", "with a swell"],
            ["on the beach", "at the coast", "by the shore", "on the sand", "at the seaside"]
        ),
        Happening::BabyCry => words!(
            ["a baby crying", "crying baby", "a baby cries", "an infant is crying", "the baby is awake", "cry of a baby"],
            ["a baby", "an infant", "a crying baby", "a newborn", "a small child", "an unhappy baby", "a hungry baby", "a little baby"],
            ["crying", "crying loudly", "screaming", "wailing in bed", "with an open mouth"],
            ["in the crib", "in the bedroom", "at home", "nearby", "in the nursery"]
        ),
        Happening::ClockTick => words!(
            ["a clock ticking", "ticking clock", "tick of a clock", "a clock", "a clock on the wall", "sound of a clock"],
            ["a clock", "a wall clock", "a ticking clock", "an alarm clock", "an old clock", "a round clock", "a pendulum clock", "a watch"],
            ["ticking", "ticking away", "showing the time", "going tick tock", "counting seconds"],
            ["on the wall", "in the room", "nearby", "in the hall", "at home"]
        ),
        Happening::Sneeze => words!(
            ["a person sneezing", "a sneeze", "someone sneezes", "sound of a sneeze", "someone has a cold", "achoo"],
            ["a sneeze", "a sneezing person", "a sneezing man", "a sneezing woman", "somebody with a cold", "a loud sneeze", "a sneezing fit"],
            ["sneezing", "sneezing loudly", "sneezing into a tissue", "having a sneeze", "going achoo"],
            ["in the room", "nearby", "at home", "in the office", "with a tissue"],
            actors: ["a person", "someone", "a man", "a woman"]
        ),
        Happening::Helicopter => words!(
            ["a helicopter", "sound of a helicopter", "a helicopter flying", "helicopter overhead", "a chopper", "rotor noise"],
            ["a helicopter", "a chopper", "a flying helicopter", "a rescue helicopter", "a rotorcraft", "a loud helicopter", "an aircraft with a rotor", "a hovering helicopter"],
            ["flying", "hovering", "with spinning rotor blades", "passing over", "thumping"],
            ["in the sky", "overhead", "in the air", "above the trees", "nearby"]
        ),
        Happening::Chainsaw => words!(
            ["a chainsaw", "sound of a chainsaw", "someone saws wood", "cutting wood with a chainsaw", "a chainsaw is running", "a saw"],
            ["a chainsaw", "a running chainsaw", "a motor saw", "a buzzing chainsaw", "a power saw", "a loud chainsaw", "a saw", "a worker's chainsaw"],
            ["cutting wood", "sawing a log", "throwing sawdust", "cutting a tree", "buzzing"],
            ["in the forest", "outside", "nearby", "in the garden", "in the woods"]
        ),
        Happening::Rooster => words!(
            ["a rooster crowing", "rooster", "crow of a rooster", "a crowing cock", "a cockerel", "cock-a-doodle-doo"],
            ["a rooster", "a cock", "a cockerel", "a crowing rooster", "a farm rooster", "a proud rooster", "a male chicken", "a colourful rooster"],
            ["crowing", "crowing loudly", "calling in the morning", "with a red comb", "singing cock-a-doodle-doo"],
            ["on the farm", "in the yard", "outside", "nearby", "in the garden"]
        ),
    }
}
