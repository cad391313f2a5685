// librte_acl on one filter set and one header trace, told line by line what to do, so that whoever
// measures it can alternate with something else.
//
//   peer RULES TRACE MAX_BUILD_MB BATCH
//
// Reads ClassBench text, IPv4. Builds once (MAX_BUILD_MB trades memory for speed, 0 lets the library
// choose) and prints {"rules","headers","build_ms","memory_bytes"}. Then, for every line `run` on
// standard input, classifies the whole trace once with each vector method the processor has and
// prints {"METHOD": ns per lookup, ...}; for `matches FILE`, writes the index of the rule each header
// hit, -1 for none; ends at end of input.
//
// Processor time, as on the other side. Every pass has to leave the same results: a method that answers
// otherwise than the scalar one ends the program with 1.
#include <rte_acl.h>
#include <rte_byteorder.h>
#include <rte_eal.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iostream>
#include <string>
#include <vector>

namespace {

// What the library reads: the protocol byte first, as it demands, everything in network order.
struct Header {
    uint8_t protocol;
    uint8_t unused[3];
    uint32_t source, destination;
    uint16_t source_port, destination_port;
};

RTE_ACL_RULE_DEF(FiveTuple, 5);

struct Method {
    const char *name;
    enum rte_acl_classify_alg algorithm;
};

const Method METHODS[] = {
    {"scalar", RTE_ACL_CLASSIFY_SCALAR},       {"sse", RTE_ACL_CLASSIFY_SSE},
    {"avx2", RTE_ACL_CLASSIFY_AVX2},           {"avx512x16", RTE_ACL_CLASSIFY_AVX512X16},
    {"avx512x32", RTE_ACL_CLASSIFY_AVX512X32},
};

[[noreturn]] void fail(const std::string &why) {
    std::fprintf(stderr, "peer: %s\n", why.c_str());
    std::exit(2);
}

uint64_t nanoseconds() {
    timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<uint64_t>(time.tv_sec) * 1000000000 + time.tv_nsec;
}

FILE *opened(const char *path, const char *mode) {
    FILE *file = std::fopen(path, mode);
    if (!file) fail(std::string("cannot open ") + path);
    return file;
}

std::vector<FiveTuple> read_rules(const char *path) {
    std::vector<FiveTuple> rules;
    FILE *file = opened(path, "r");
    char line[512];
    while (std::fgets(line, sizeof line, file)) {
        unsigned a[4], b[4], source_length, destination_length, low[2], high[2], protocol, mask;
        int read = std::sscanf(line, "@%u.%u.%u.%u/%u %u.%u.%u.%u/%u %u : %u %u : %u %x/%x", a, a + 1,
                               a + 2, a + 3, &source_length, b, b + 1, b + 2, b + 3,
                               &destination_length, low, high, low + 1, high + 1, &protocol, &mask);
        if (read != 16) fail(std::string("no IPv4 rule: ") + line);
        FiveTuple rule;
        std::memset(&rule, 0, sizeof rule);
        rule.field[0].value.u8 = mask ? protocol : 0;
        rule.field[0].mask_range.u8 = mask;
        rule.field[1].value.u32 = a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3];
        rule.field[1].mask_range.u32 = source_length;
        rule.field[2].value.u32 = b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
        rule.field[2].mask_range.u32 = destination_length;
        for (int side = 0; side < 2; side++) {
            rule.field[3 + side].value.u16 = low[side];
            rule.field[3 + side].mask_range.u16 = high[side];
        }
        rules.push_back(rule);
    }
    std::fclose(file);
    // The first rule wins: highest priority. Data 0 means no match.
    for (size_t i = 0; i < rules.size(); i++) {
        rules[i].data.category_mask = 1;
        rules[i].data.priority = static_cast<int32_t>(rules.size() - i);
        rules[i].data.userdata = static_cast<uint32_t>(i + 1);
    }
    return rules;
}

std::vector<Header> read_trace(const char *path) {
    std::vector<Header> headers;
    FILE *file = opened(path, "r");
    char line[512];
    while (std::fgets(line, sizeof line, file)) {
        unsigned source, destination, source_port, destination_port, protocol;
        if (std::sscanf(line, "%u %u %u %u %u", &source, &destination, &source_port,
                        &destination_port, &protocol) != 5)
            fail(std::string("no IPv4 header: ") + line);
        headers.push_back({static_cast<uint8_t>(protocol), {}, rte_cpu_to_be_32(source),
                           rte_cpu_to_be_32(destination),
                           rte_cpu_to_be_16(static_cast<uint16_t>(source_port)),
                           rte_cpu_to_be_16(static_cast<uint16_t>(destination_port))});
    }
    std::fclose(file);
    if (headers.empty()) fail("the trace is empty");
    return headers;
}

// Without a hugetlbfs, transparent huge pages serve the library's heap.
int want_huge_pages(const rte_memseg_list *list, void *) {
    return madvise(list->base_va, list->len, MADV_HUGEPAGE), 0;
}

void start_library() {
    const char *arguments[] = {"peer", "--no-huge", "--no-pci", "-m", "9000", "-l", "0",
                               "--no-shconf", "--force-max-simd-bitwidth=512", "--no-telemetry",
                               "--log-level=1"};
    int count = sizeof arguments / sizeof *arguments;
    if (rte_eal_init(count, const_cast<char **>(arguments)) < 0) fail("the library does not start");
    rte_memseg_list_walk(want_huge_pages, nullptr);
}

size_t heap_in_use() {
    rte_malloc_socket_stats stats;
    size_t bytes = 0;
    for (unsigned socket = 0; socket < rte_socket_count(); socket++)
        if (!rte_malloc_get_socket_stats(rte_socket_id_by_idx(socket), &stats))
            bytes += stats.heap_allocsz_bytes;
    return bytes;
}

rte_acl_ctx *built(const std::vector<FiveTuple> &rules, size_t most_bytes) {
    rte_acl_param parameters = {"peer", SOCKET_ID_ANY, RTE_ACL_RULE_SZ(5),
                                static_cast<uint32_t>(rules.size())};
    rte_acl_ctx *context = rte_acl_create(&parameters);
    auto data = reinterpret_cast<const rte_acl_rule *>(rules.data());
    if (!context || rte_acl_add_rules(context, data, rules.size())) fail("cannot add the rules");
    rte_acl_config config;
    std::memset(&config, 0, sizeof config);
    config.num_categories = 1;
    config.num_fields = 5;
    config.max_size = most_bytes;
    config.defs[0] = {RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, offsetof(Header, protocol)};
    config.defs[1] = {RTE_ACL_FIELD_TYPE_MASK, 4, 1, 1, offsetof(Header, source)};
    config.defs[2] = {RTE_ACL_FIELD_TYPE_MASK, 4, 2, 2, offsetof(Header, destination)};
    config.defs[3] = {RTE_ACL_FIELD_TYPE_RANGE, 2, 3, 3, offsetof(Header, source_port)};
    config.defs[4] = {RTE_ACL_FIELD_TYPE_RANGE, 2, 4, 3, offsetof(Header, destination_port)};
    if (rte_acl_build(context, &config)) fail("cannot build");
    return context;
}

// False where the library lacks the method.
bool classify(rte_acl_ctx *context, const std::vector<const uint8_t *> &headers,
              std::vector<uint32_t> &found, size_t batch, enum rte_acl_classify_alg algorithm) {
    for (size_t i = 0; i < headers.size(); i += batch) {
        uint32_t count = static_cast<uint32_t>(std::min(batch, headers.size() - i));
        auto from = const_cast<const uint8_t **>(&headers[i]);
        if (rte_acl_classify_alg(context, from, &found[i], count, 1, algorithm)) return false;
    }
    return true;
}

void write_matches(const std::string &path, const std::vector<uint32_t> &found) {
    FILE *file = opened(path.c_str(), "w");
    for (uint32_t data : found) std::fprintf(file, "%d\n", static_cast<int>(data) - 1);
    std::fclose(file);
}

}  // namespace

int main(int count, char **arguments) {
    if (count != 5) fail("usage: peer RULES TRACE MAX_BUILD_MB BATCH");
    start_library();
    std::vector<FiveTuple> rules = read_rules(arguments[1]);
    std::vector<Header> headers = read_trace(arguments[2]);
    size_t most_bytes = static_cast<size_t>(std::atol(arguments[3])) << 20;
    size_t batch = std::max(1L, std::atol(arguments[4]));

    uint64_t start = nanoseconds();
    size_t before = heap_in_use();
    rte_acl_ctx *context = built(rules, most_bytes);
    std::printf("{\"rules\":%zu,\"headers\":%zu,\"build_ms\":%.1f,\"memory_bytes\":%zu}\n",
                rules.size(), headers.size(), (nanoseconds() - start) / 1e6,
                heap_in_use() - before - rules.size() * sizeof(FiveTuple));
    std::fflush(stdout);

    std::vector<const uint8_t *> pointers;
    for (const Header &header : headers)
        pointers.push_back(reinterpret_cast<const uint8_t *>(&header));
    std::vector<uint32_t> expected(headers.size()), found(headers.size());
    if (!classify(context, pointers, expected, batch, RTE_ACL_CLASSIFY_SCALAR)) fail("no method");
    for (std::string line; std::getline(std::cin, line);) {
        if (line.rfind("matches ", 0) == 0) {
            write_matches(line.substr(8), expected);
            std::printf("{}\n");
        } else {
            const char *between = "{";
            for (const Method &method : METHODS) {
                // The call that names a method does not ask the processor for it; this one does.
                if (rte_acl_set_ctx_classify(context, method.algorithm)) continue;
                std::fill(found.begin(), found.end(), UINT32_MAX);
                start = nanoseconds();
                if (!classify(context, pointers, found, batch, method.algorithm)) continue;
                double each = static_cast<double>(nanoseconds() - start) / headers.size();
                if (found != expected) {
                    std::fprintf(stderr, "peer: method %s answers otherwise\n", method.name);
                    return 1;
                }
                std::printf("%s\"%s\":%.2f", between, method.name, each);
                between = ",";
            }
            std::printf("}\n");
        }
        std::fflush(stdout);
    }
}
