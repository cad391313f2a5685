// The load of `session/mixed` (crates/session/benches/session.rs) on DPDK's rte_hash: 95 % of the
// operations find a flow, in batches of 32, and change what is kept of it; 5 % take one out and put
// another in. It knows neither states nor timers. Prints a line of JSON for each pass.
//
//     peer SESSIONS OPERATIONS PASSES

#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

constexpr unsigned BATCH = 32;

/// A flow, the same for both directions.
struct Key {
    uint32_t low, high;
    uint16_t low_port, high_port;
    uint32_t protocol;
};

/// What is kept of a session: as much as parefeu keeps.
struct Kept {
    uint64_t last, bytes[2], rest[5];
};

[[noreturn]] void fail(const char *why) {
    std::fprintf(stderr, "rte_hash: %s\n", why);
    std::exit(2);
}

Key flow(uint64_t n) {
    uint64_t mixed = n * 0x9e3779b97f4a7c15u;
    uint32_t src = 0x0a000000u | (static_cast<uint32_t>(n >> 6) & 0x00ffffffu);
    uint32_t dst = 0xc0000000u | static_cast<uint32_t>(mixed >> 40);
    return {src, dst, static_cast<uint16_t>(1024 + (n & 63)), 443, 17};
}

uint64_t next_random(uint64_t &state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

double processor_seconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

int main(int count, char **arguments) {
    if (count != 4) fail("usage: peer SESSIONS OPERATIONS PASSES");
    const uint64_t sessions = std::strtoull(arguments[1], nullptr, 10);
    const uint64_t operations = std::strtoull(arguments[2], nullptr, 10);
    const uint64_t passes = std::strtoull(arguments[3], nullptr, 10);
    const char *eal[] = {"peer", "--no-huge", "--no-pci", "-m", "9000", "-l", "0",
                         "--no-shconf", "--no-telemetry", "--log-level=1"};
    if (rte_eal_init(sizeof eal / sizeof *eal, const_cast<char **>(eal)) < 0)
        fail("the library does not start");
    rte_hash_parameters parameters{};
    parameters.name = "sessions";
    parameters.entries = static_cast<uint32_t>(sessions + sessions / 8 + 64);
    parameters.key_len = sizeof(Key);
    parameters.hash_func = rte_hash_crc;
    parameters.hash_func_init_val = 0x5eed;
    rte_hash *table = rte_hash_create(&parameters);
    if (table == nullptr) fail("no table of that size");

    std::vector<Kept> kept(parameters.entries + 1);
    std::vector<uint64_t> flows(sessions);
    uint64_t next = 0, state = 0x5eed;
    auto add = [&](size_t at) {
        flows[at] = next;
        Key key = flow(next++);
        int32_t place = rte_hash_add_key(table, &key);
        if (place < 0) fail("a flow does not fit");
        kept[place] = {1, {100, 0}, {}};
    };
    for (size_t at = 0; at < sessions; at++) add(at);

    uint64_t sum = 0;
    for (uint64_t pass = 0; pass < passes; pass++) {
        double begun = processor_seconds();
        for (uint64_t batch = 0; batch < operations / BATCH; batch++) {
            Key own[BATCH];
            const void *keys[BATCH];
            int32_t places[BATCH];
            size_t ats[BATCH];
            unsigned asked = 0;
            // The packets are there before the table is asked.
            for (size_t &at : ats) {
                at = next_random(state) % sessions;
                sum += flows[at];
            }
            for (uint64_t n = batch * BATCH; n < (batch + 1) * BATCH; n++) {
                size_t at = ats[n % BATCH];
                if (n % 20 == 0) {
                    Key key = flow(flows[at]);
                    if (rte_hash_del_key(table, &key) < 0) fail("a flow is lost");
                    add(at);
                    continue;
                }
                own[asked] = flow(flows[at]);
                keys[asked] = &own[asked];
                asked++;
            }
            if (rte_hash_lookup_bulk(table, keys, asked, places) != 0) fail("the lookup failed");
            for (unsigned n = 0; n < asked; n++) {
                // Taken out in the meantime, by this very batch.
                if (places[n] < 0) continue;
                Kept &it = kept[places[n]];
                it.last = batch;
                it.bytes[0] += 100;
                sum += it.bytes[0];
            }
        }
        double nanoseconds = (processor_seconds() - begun) * 1e9;
        std::printf("{\"nanoseconds\": %.2f}\n", nanoseconds / static_cast<double>(operations));
    }
    std::fprintf(stderr, "%llu\n", static_cast<unsigned long long>(sum));
    return 0;
}
