/* A stand-in for libnvidia-ml.so.1: what it answers is read from the file that STANDIN_NVML names, at each call.

Lines are `name value`. `0.temperature 61` is a number of card 0; a name that is missing is not supported.
`driver 0`: no driver. `cards N`. `0.gone 15`: this card answers with that error. `fail.FUNCTION 3` and `0.FUNCTION 3`:
this call fails so, for all cards or for one. `hang.FUNCTION 1`: it does not return while that stands. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OK, UNINITIALIZED, INVALID_ARGUMENT, NOT_SUPPORTED, NOT_FOUND = 6, INSUFFICIENT_SIZE, DRIVER_NOT_LOADED = 9, TIMEOUT };
enum { LINES = 512, NAME = 64, TEXT = 96, CARDS = 8, PARTS = 8, FUNCTIONS = 64 };

typedef struct { char name[NAME], text[TEXT]; } line_t;
typedef struct { int card, part, epoch; } device_t;
typedef struct { unsigned gpu, memory; } rates_t;
typedef struct { unsigned long long total, free, used; } memory_t;
typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } process_t;
typedef struct { unsigned field, scope; long long at, latency; unsigned type, result; unsigned long long value; } field_t;
typedef struct { device_t *device; unsigned long long type, data; unsigned gi, ci; } event_t;

static line_t lines[LINES];
static int line_count, starts, epoch;
static struct timespec read_at;
static device_t devices[CARDS][PARTS + 1];
static struct { char name[NAME]; long count; } calls[FUNCTIONS];
static long seen[CARDS];
static int listening[CARDS];

static void look(void) {
    const char *path = getenv("STANDIN_NVML");
    struct stat now;
    if (!path || stat(path, &now)) { line_count = 0; read_at.tv_sec = -1; return; }
    if (now.st_mtim.tv_sec == read_at.tv_sec && now.st_mtim.tv_nsec == read_at.tv_nsec) return;
    FILE *file = fopen(path, "r");
    if (!file) { line_count = 0; return; }
    line_count = 0;
    while (line_count < LINES && fscanf(file, "%63s %95[^\n]", lines[line_count].name, lines[line_count].text) == 2) line_count++;
    fclose(file);
    read_at = now.st_mtim;
}

static const char *text(const char *name) {
    for (int i = 0; i < line_count; i++) if (!strcmp(lines[i].name, name)) return lines[i].text;
    return NULL;
}

static int number(const char *name, unsigned long long *value) {
    const char *found = text(name);
    if (found) *value = strtoull(found, NULL, 0);
    return found != NULL;
}

static unsigned long long number_or(const char *name, unsigned long long otherwise) {
    number(name, &otherwise);
    return otherwise;
}

static const char *named(const device_t *of, const char *what) {
    static char name[NAME];
    if (of && of->part) snprintf(name, NAME, "%d.part%d.%s", of->card, of->part - 1, what);
    else if (of) snprintf(name, NAME, "%d.%s", of->card, what);
    else snprintf(name, NAME, "fail.%s", what);
    return name;
}

static void count(const char *function) {
    int i = 0;
    while (i < FUNCTIONS - 1 && *calls[i].name && strcmp(calls[i].name, function)) i++;
    snprintf(calls[i].name, NAME, "%s", function);
    calls[i].count++;
}

long standin_calls(const char *function) {
    for (int i = 0; i < FUNCTIONS; i++) if (!strcmp(calls[i].name, function)) return calls[i].count;
    return 0;
}

void standin_begin(void) {
    memset(calls, 0, sizeof calls);
    memset(seen, 0, sizeof seen);
    starts = line_count = 0;
    read_at.tv_sec = -1;
}

static int enter(const char *function, const device_t *of) {
    char hang[NAME];
    snprintf(hang, NAME, "hang.%s", function);
    look();
    count(function);
    while (number_or(hang, 0)) { usleep(2000); look(); }
    unsigned long long failure = number_or(named(NULL, function), 0);
    if (failure) return (int)failure;
    if (!number_or("driver", 0)) return starts ? UNINITIALIZED : DRIVER_NOT_LOADED;
    if (!of) return OK;
    if (!starts) return UNINITIALIZED;
    if (of->epoch != epoch) return INVALID_ARGUMENT;
    device_t card = {of->card, 0, epoch};
    failure = number_or(named(&card, "gone"), 0);
    return (int)(failure ? failure : number_or(named(of, function), 0));
}

#define ENTER(of) do { int failed = enter(__func__, of); if (failed) return failed; } while (0)

static int give(const device_t *of, const char *what, unsigned *value) {
    unsigned long long found;
    if (!number(named(of, what), &found)) return NOT_SUPPORTED;
    *value = (unsigned)found;
    return OK;
}

static int give_wide(const device_t *of, const char *what, unsigned long long *value) {
    return number(named(of, what), value) ? OK : NOT_SUPPORTED;
}

static int give_text(const char *found, char *buffer, unsigned size) {
    if (!found) return NOT_SUPPORTED;
    snprintf(buffer, size, "%s", found);
    return OK;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    ENTER(NULL);
    if (starts++ == 0) { epoch++; memset(listening, 0, sizeof listening); }
    return OK;
}
int nvmlShutdown(void) { look(); count(__func__); if (!starts) return UNINITIALIZED; starts--; return OK; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stand-in"; }
int nvmlSystemGetDriverVersion(char *to, unsigned size) { ENTER(NULL); return give_text(text("driver.version"), to, size); }
int nvmlSystemGetNVMLVersion(char *to, unsigned size) { ENTER(NULL); return give_text(text("nvml.version"), to, size); }
int nvmlSystemGetCudaDriverVersion_v2(int *to) {
    unsigned long long found;
    ENTER(NULL);
    if (!number("cuda.version", &found)) return NOT_SUPPORTED;
    *to = (int)found;
    return OK;
}
int nvmlSystemGetProcessName(unsigned pid, char *to, unsigned size) {
    char name[NAME];
    ENTER(NULL);
    snprintf(name, NAME, "process.%u", pid);
    const char *found = text(name);
    return found ? give_text(found, to, size) : NOT_FOUND;
}
int nvmlDeviceGetCount_v2(unsigned *to) { ENTER(NULL); *to = (unsigned)number_or("cards", 0); return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t **to) {
    ENTER(NULL);
    if (index >= number_or("cards", 0)) return INVALID_ARGUMENT;
    device_t *found = &devices[index][0];
    *found = (device_t){(int)index, 0, epoch};
    *to = found;
    return (int)number_or(named(found, "gone"), 0);
}
int nvmlDeviceGetUUID(device_t *of, char *to, unsigned size) { ENTER(of); return give_text(text(named(of, "uuid")), to, size); }
int nvmlDeviceGetName(device_t *of, char *to, unsigned size) { ENTER(of); return give_text(text(named(of, "name")), to, size); }
int nvmlDeviceGetMemoryInfo(device_t *of, memory_t *to) {
    ENTER(of);
    if (!number(named(of, "memory.used"), &to->used) || !number(named(of, "memory.total"), &to->total)) return NOT_SUPPORTED;
    to->free = to->total - to->used;
    return OK;
}
int nvmlDeviceGetUtilizationRates(device_t *of, rates_t *to) {
    ENTER(of);
    return give(of, "utilization.gpu", &to->gpu) || give(of, "utilization.memory", &to->memory) ? NOT_SUPPORTED : OK;
}
int nvmlDeviceGetPowerUsage(device_t *of, unsigned *to) { ENTER(of); return give(of, "power", to); }
int nvmlDeviceGetEnforcedPowerLimit(device_t *of, unsigned *to) { ENTER(of); return give(of, "power.limit", to); }
int nvmlDeviceGetTotalEnergyConsumption(device_t *of, unsigned long long *to) { ENTER(of); return give_wide(of, "energy", to); }
int nvmlDeviceGetTemperature(device_t *of, unsigned sensor, unsigned *to) { (void)sensor; ENTER(of); return give(of, "temperature", to); }
int nvmlDeviceGetClockInfo(device_t *of, unsigned kind, unsigned *to) { ENTER(of); return give(of, kind == 2 ? "clock.memory" : "clock.sm", to); }
int nvmlDeviceGetMaxClockInfo(device_t *of, unsigned kind, unsigned *to) { ENTER(of); return give(of, kind == 2 ? "max.memory" : "max.sm", to); }
int nvmlDeviceGetMemoryBusWidth(device_t *of, unsigned *to) { ENTER(of); return give(of, "bus", to); }
int nvmlDeviceGetMaxPcieLinkWidth(device_t *of, unsigned *to) { ENTER(of); return give(of, "pcie.lanes", to); }
int nvmlDeviceGetMaxPcieLinkGeneration(device_t *of, unsigned *to) { ENTER(of); return give(of, "pcie.generation", to); }
int nvmlDeviceGetCurrentClocksEventReasons(device_t *of, unsigned long long *to) { ENTER(of); return give_wide(of, "reasons", to); }
int nvmlDeviceGetCurrentClocksThrottleReasons(device_t *of, unsigned long long *to) { ENTER(of); return give_wide(of, "reasons", to); }
int nvmlDeviceGetTotalEccErrors(device_t *of, unsigned kind, unsigned counter, unsigned long long *to) {
    (void)counter;
    ENTER(of);
    return give_wide(of, kind ? "ecc.uncorrected" : "ecc.corrected", to);
}
int nvmlDeviceGetPcieThroughput(device_t *of, unsigned counter, unsigned *to) {
    ENTER(of);
    usleep(20000);
    return give(of, counter ? "pcie.rx.kb" : "pcie.tx.kb", to);
}
int nvmlDeviceGetFieldValues(device_t *of, int count_of, field_t *to) {
    ENTER(of);
    for (int i = 0; i < count_of; i++) {
        const char *what = to[i].field == 197 ? "pcie.tx" : to[i].field == 198 ? "pcie.rx" : "none";
        to[i].type = 3;
        to[i].result = (unsigned)give_wide(of, what, &to[i].value);
    }
    return OK;
}
int nvmlDeviceGetNvLinkState(device_t *of, unsigned link, unsigned *to) {
    char what[NAME];
    ENTER(of);
    snprintf(what, NAME, "link%u", link);
    return give(of, what, to);
}
int nvmlDeviceGetP2PStatus(device_t *of, device_t *other, unsigned kind, unsigned *to) {
    (void)other; (void)kind;
    ENTER(of);
    return give(of, "peer", to);
}
int nvmlDeviceGetCudaComputeCapability(device_t *of, int *major, int *minor) {
    unsigned found = 0;
    ENTER(of);
    if (give(of, "capability", &found)) return NOT_SUPPORTED;
    *major = (int)found / 10; *minor = (int)found % 10;
    return OK;
}
int nvmlDeviceGetMigMode(device_t *of, unsigned *current, unsigned *pending) { ENTER(of); *pending = 0; return give(of, "mig", current); }
int nvmlDeviceGetMaxMigDeviceCount(device_t *of, unsigned *to) { ENTER(of); *to = PARTS; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(device_t *of, unsigned index, device_t **to) {
    ENTER(of);
    device_t *found = &devices[of->card][index + 1];
    *found = (device_t){of->card, (int)index + 1, epoch};
    *to = found;
    return text(named(found, "uuid")) ? OK : NOT_FOUND;
}
static int processes(device_t *of, const char *kind, unsigned *count_of, process_t *to) {
    unsigned found = 0, room = *count_of;
    for (;; found++) {
        char what[NAME];
        unsigned long long pid;
        snprintf(what, NAME, "%s%u", kind, found);
        if (!number(named(of, what), &pid)) break;
        if (found >= room) continue;
        to[found] = (process_t){(unsigned)pid, ~0ULL, ~0u, ~0u};
        snprintf(what, NAME, "%s%u.used", kind, found);
        number(named(of, what), &to[found].used);
    }
    *count_of = found;
    return found > room ? INSUFFICIENT_SIZE : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v3(device_t *of, unsigned *count_of, process_t *to) { ENTER(of); return processes(of, "compute", count_of, to); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(device_t *of, unsigned *count_of, process_t *to) { ENTER(of); return processes(of, "graphics", count_of, to); }

/* `0.xids 31,48`: what the driver has reported of card 0 so far; an event for each that a set has not been told. */
int nvmlEventSetCreate(void **to) { ENTER(NULL); *to = seen; return OK; }
int nvmlEventSetFree(void *set) { (void)set; look(); count(__func__); return OK; }
int nvmlDeviceRegisterEvents(device_t *of, unsigned long long types, void *set) {
    (void)types; (void)set;
    ENTER(of);
    if (!text(named(of, "xids"))) return NOT_SUPPORTED;
    listening[of->card] = 1;
    return OK;
}
int nvmlEventSetWait_v2(void *set, event_t *to, unsigned wait_ms) {
    (void)set; (void)wait_ms;
    ENTER(NULL);
    for (int card = 0; card < CARDS; card++) {
        device_t of = {card, 0, epoch};
        const char *rest = listening[card] ? text(named(&of, "xids")) : NULL;
        long number_of = 0;
        while (rest && *rest && *rest != '-') {
            char *end;
            unsigned long long xid = strtoull(rest, &end, 10);
            if (number_of++ == seen[card]) {
                seen[card]++;
                *to = (event_t){&devices[card][0], 8, xid, 0, 0};
                return OK;
            }
            rest = *end == ',' ? end + 1 : NULL;
        }
    }
    return TIMEOUT;
}
