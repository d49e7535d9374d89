#pragma once
// What `mitu device` does, apart from its flags (device_command.cpp).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/mitu/commands.hpp"
#include "mitu/base/result.hpp"
#include "mitu/fleet/problem.hpp"
#include "mitu/fleet/registry.hpp"
#include "mitu/identity/credential.hpp"

namespace mitu::cli {

/// A device, and the password that it shall have.
struct NewDevice {
    fleet::DeviceRecord record;  // its credential is filled in by hash_passwords()
    std::string password;        // empty: record.credential is there already
    bool is_random = false;      // 128 bits or more, so that a cheap hash is enough
};

/// 128 random bits as text.
[[nodiscard]] std::string random_secret();

/// Fills in the credentials, on all cores.
/// Errors  false: the memory that a hash needs cannot be had.
[[nodiscard]] bool hash_passwords(std::vector<NewDevice>& devices);

/// Adds the devices to the registry, under its lock, so that no other `mitu device` comes between.
/// `secrets_path`: where the passwords go, as device,tenant,class,password, readable by its owner
/// only; it is written first, so that no hash is kept whose password is lost.
/// `skip_existing`: leaves out, instead of refusing, devices that are there.
/// Errors  the registry is unchanged.
struct AddRequest {
    std::string registry_path;
    std::optional<std::string> secrets_path;
    std::string source_name;  // what problems name: the file that the devices come from
    bool skip_existing = false;
};
struct AddSummary {
    std::size_t added = 0;
    std::size_t skipped = 0;
    std::size_t total = 0;
    bool rewritten = false;
};
[[nodiscard]] Result<AddSummary, fleet::Problems> add_devices(const AddRequest& request,
                                                              std::vector<NewDevice> devices);

/// `count` devices, of each compiled-in policy in turn, operators left out: a fleet to try things
/// on.
[[nodiscard]] std::vector<NewDevice> demo_devices(std::uint32_t count);

}  // namespace mitu::cli
