//! What memory there is, and what of it the process took.

use sysinfo::{MemoryRefreshKind, System};

/// The bytes of the machine's memory, or of what the container gets of it.
pub fn of_machine() -> Option<usize> {
    let mut system = System::new();
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let limits = system.cgroup_limits().map(|limits| limits.total_memory);
    let bytes = limits.map_or(system.total_memory(), |limit| limit.min(system.total_memory()));
    usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)
}

/// The most bytes that the process had resident at any time; none where the system does not tell.
pub fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let high_water = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = high_water.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib << 10)
}
