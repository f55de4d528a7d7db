//! Crashes, faults, locks, hostile input and neighbours.

pub mod between;
pub mod crash;
pub mod faults;
pub mod holes;
pub mod hostile;
pub mod hosts;
pub mod hung_homes;
pub mod load;
pub mod lock;
pub mod lost_once;
pub mod memory;
pub mod moved;
pub mod neighbours;
pub mod nfs;
pub mod nonsense;
pub mod order;
pub mod reused_numbers;
pub mod setgid;
pub mod shared_directories;
pub mod slow;
pub mod users;
pub mod watchdog;
