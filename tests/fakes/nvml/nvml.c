/* A libnvidia-ml.so.1 that does as a file says, so that the real pynvml runs without a GPU.
 *
 * FAKE_NVML names the file; it is read again at each call. A line is one order:
 *   gpus N            how many GPUs there are (2)
 *   fail CALL CODE    CALL returns CODE for every GPU
 *   fail CALL CODE I  for GPU I only; CALL "*" is every call about it
 *   hang CALL         CALL waits until the line is gone
 *   tame 1            the name of GPU 1 cannot act on a terminal
 *   mig I N           GPU I is cut into N instances
 *   used I N          MiB of GPU I that are used (a quarter of it)
 *   util I N          per cent that GPU I is busy (75)
 *   power I N         mW that GPU I takes (123456)
 *   energy I N        J that GPU I took (987654321)
 *   reasons I N       why its clocks are as they are, as bits (0)
 *   nothing I 1       GPU I has 0 bytes of memory
 *   many I N          processes that compute on GPU I, of numbers nobody has
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int ret;
typedef struct { int gpu; int instance; } device;

static device devices[8][8]; /* [gpu][0] is the GPU, the others its instances */
static int initialised = 0;

static int order(const char *call, int gpu, int *hang) {
    char line[256], name[128];
    int code, index, found = 0;
    *hang = 0;
    FILE *file = fopen(getenv("FAKE_NVML") ? getenv("FAKE_NVML") : "", "r");
    if (!file) return 0;
    while (!found && fgets(line, sizeof line, file)) {
        int got = sscanf(line, "fail %127s %d %d", name, &code, &index);
        if (got >= 2 && (got == 2 || index == gpu) && (!strcmp(name, call) || (!strcmp(name, "*") && gpu >= 0)))
            found = code;
        if (sscanf(line, "hang %127s", name) == 1 && !strcmp(name, call)) *hang = 1;
    }
    fclose(file);
    return found;
}

static ret obey(const char *call, int gpu) {
    int hang, code;
    while (code = order(call, gpu, &hang), hang) usleep(5000);
    return code;
}

static int number(const char *key, int gpu, int otherwise) {
    char line[256], name[128];
    int first, second, found = otherwise;
    FILE *file = fopen(getenv("FAKE_NVML") ? getenv("FAKE_NVML") : "", "r");
    if (!file) return found;
    while (fgets(line, sizeof line, file)) {
        int got = sscanf(line, "%127s %d %d", name, &first, &second);
        if (got >= 2 && !strcmp(name, key)) {
            if (gpu < 0) found = first;
            else if (got == 3 && first == gpu) found = second;
        }
    }
    fclose(file);
    return found;
}

#define ABOUT(handle)                                    \
    do {                                                 \
        int code = obey(__func__, ((device *)handle)->gpu); \
        if (code) return code;                           \
        if (!initialised) return 1;                      \
    } while (0)

ret nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    int code = obey(__func__, -1);
    if (!code) initialised++;
    return code;
}
ret nvmlShutdown(void) { if (initialised) initialised--; return 0; }
const char *nvmlErrorString(ret code) { (void)code; return "an error of the fake"; }
ret nvmlDeviceGetCount_v2(unsigned *count) {
    int code = obey(__func__, -1);
    *count = number("gpus", -1, 2);
    return code;
}
ret nvmlDeviceGetHandleByIndex_v2(unsigned index, device **handle) {
    int code = obey(__func__, (int)index);
    if (code) return code;
    devices[index][0].gpu = (int)index;
    *handle = &devices[index][0];
    return 0;
}
ret nvmlSystemGetDriverVersion(char *text, unsigned length) { snprintf(text, length, "580.95.05"); return 0; }
ret nvmlSystemGetCudaDriverVersion(int *version) { *version = 13000; return 0; }
ret nvmlDeviceGetName(device *handle, char *name, unsigned length) {
    ABOUT(handle);
    if (handle->instance) snprintf(name, length, "NVIDIA Fake %d MIG 1g.10gb", handle->gpu);
    else if (handle->gpu == 1 && !number("tame", -1, 0)) snprintf(name, length, "NVIDIA \x1b[31mFake\x07 [bold]1");
    else snprintf(name, length, "NVIDIA Fake %d", handle->gpu);
    return 0;
}
ret nvmlDeviceGetUUID(device *handle, char *uuid, unsigned length) {
    ABOUT(handle);
    snprintf(uuid, length, "%s-%d-%d", handle->instance ? "MIG" : "GPU", handle->gpu, handle->instance);
    return 0;
}

typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
static const unsigned long long GIB = 1ull << 30;

ret nvmlDeviceGetMemoryInfo(device *handle, memory_v1 *memory) {
    ABOUT(handle);
    memory->total = 8 * GIB; memory->used = 3 * GIB; memory->free = 5 * GIB; /* the reserved counts as used */
    return 0;
}
#ifndef OLD_DRIVER
ret nvmlDeviceGetMemoryInfo_v2(device *handle, memory_v2 *memory) {
    ABOUT(handle);
    if (memory->version != (sizeof(memory_v2) | 2u << 24)) return 25;
    memory->total = (handle->instance ? 1 : 8) * GIB;
    memory->reserved = memory->total / 8; memory->used = memory->total / 4;
    if (number("used", handle->gpu, -1) >= 0 && !handle->instance)
        memory->used = (unsigned long long)number("used", handle->gpu, 0) << 20;
    if (number("nothing", handle->gpu, 0)) memory->total = memory->reserved = memory->used = 0;
    memory->free = memory->total > memory->used + memory->reserved ? memory->total - memory->used - memory->reserved : 0;
    return 0;
}
typedef struct { unsigned version, sensor; int temperature; } temperature_v1;
ret nvmlDeviceGetTemperatureV(device *handle, temperature_v1 *value) {
    ABOUT(handle);
    if (value->version != (sizeof(temperature_v1) | 1u << 24)) return 25;
    value->temperature = 61 + handle->gpu;
    return 0;
}
#endif
ret nvmlDeviceGetTemperature(device *handle, unsigned sensor, unsigned *value) {
    ABOUT(handle);
    *value = 51 + handle->gpu + sensor;
    return 0;
}
ret nvmlDeviceGetUtilizationRates(device *handle, unsigned rates[2]) {
    ABOUT(handle);
    rates[0] = (unsigned)number("util", handle->gpu, 75); rates[1] = 40;
    return 0;
}
#define UNSIGNED(call, number) \
    ret call(device *handle, unsigned *value) { ABOUT(handle); *value = (number); return 0; }
UNSIGNED(nvmlDeviceGetPowerUsage, (unsigned)number("power", ((device *)handle)->gpu, 123456))
UNSIGNED(nvmlDeviceGetEnforcedPowerLimit, 200000)
UNSIGNED(nvmlDeviceGetFanSpeed, 30)
/* What only other monitors ask for. */
UNSIGNED(nvmlDeviceGetPowerManagementLimit, 200000)
UNSIGNED(nvmlDeviceGetPerformanceState, 2)
UNSIGNED(nvmlDeviceGetPersistenceMode, 1)
UNSIGNED(nvmlDeviceGetDisplayActive, 0)
UNSIGNED(nvmlDeviceGetComputeMode, 0)
#define UNSUPPORTED(call) ret call(device *handle) { ABOUT(handle); return 3; }
UNSUPPORTED(nvmlDeviceGetTotalEccErrors)
UNSUPPORTED(nvmlDeviceGetEncoderUtilization)
UNSUPPORTED(nvmlDeviceGetDecoderUtilization)
UNSUPPORTED(nvmlDeviceGetDriverModel)
UNSUPPORTED(nvmlDeviceGetProcessUtilization)
UNSIGNED(nvmlDeviceGetMaxMigDeviceCount, 7)
ret nvmlDeviceGetTotalEnergyConsumption(device *handle, unsigned long long *value) {
    ABOUT(handle);
    *value = (unsigned long long)number("energy", handle->gpu, 987654321) * 1000;
    return 0;
}
ret nvmlDeviceGetCurrentClocksEventReasons(device *handle, unsigned long long *value) {
    ABOUT(handle);
    *value = (unsigned long long)number("reasons", handle->gpu, 0);
    return 0;
}
ret nvmlDeviceGetPcieThroughput(device *handle, unsigned way, unsigned *value) {
    ABOUT(handle);
    *value = way ? 1500 : 250; /* received, sent: KB/s */
    return 0;
}
typedef struct { char legacy[16]; unsigned domain, bus, slot, id, subsystem; char bus_id[32]; } pci;
ret nvmlDeviceGetPciInfo_v3(device *handle, pci *info) {
    ABOUT(handle);
    memset(info, 0, sizeof *info);
    snprintf(info->bus_id, sizeof info->bus_id, "00000000:%02X:00.0", 0x1A + handle->gpu);
    return 0;
}
ret nvmlDeviceGetClockInfo(device *handle, unsigned kind, unsigned *value) {
    ABOUT(handle);
    *value = kind == 1 ? 1980 : kind == 2 ? 9501 : 0;
    return 0;
}
ret nvmlDeviceGetMigMode(device *handle, unsigned *current, unsigned *pending) {
    ABOUT(handle);
    if (handle->instance) return 2;
    *current = *pending = number("mig", handle->gpu, 0) > 0;
    return 0;
}
ret nvmlDeviceGetMigDeviceHandleByIndex(device *handle, unsigned index, device **instance) {
    ABOUT(handle);
    if ((int)index >= number("mig", handle->gpu, 0)) return 6;
    device *made = &devices[handle->gpu][index + 1];
    made->gpu = handle->gpu; made->instance = (int)index + 1;
    *instance = made;
    return 0;
}

typedef struct { unsigned pid; unsigned long long used; unsigned instance, compute; } process;
static ret list(unsigned *count, process *found, unsigned has, const process *has_these) {
    unsigned room = *count;
    *count = has;
    if (!has) return 0;
    if (!found || room < has) return 7;
    memcpy(found, has_these, has * sizeof *found);
    return 0;
}
ret nvmlDeviceGetComputeRunningProcesses_v3(device *handle, unsigned *count, process *found) {
    ABOUT(handle);
    static process crowd[512];
    int many = number("many", handle->gpu, 0);
    for (int i = 0; i < many && i < 512; i++) crowd[i] = (process){4000000u + (unsigned)i, GIB / 1024 * (unsigned)(i + 1), 0, 0};
    if (many) return list(count, found, (unsigned)many, crowd);
    process these[2] = {{(unsigned)getpid(), GIB / 2, 0, 0}, {4194303, ~0ull, 0, 0}}; /* not told how much */
    return list(count, found, handle->gpu ? 0 : 2, these);
}
ret nvmlDeviceGetGraphicsRunningProcesses_v3(device *handle, unsigned *count, process *found) {
    ABOUT(handle);
    process these[1] = {{(unsigned)getppid(), GIB, 0, 0}};
    return list(count, found, handle->gpu ? 0 : 1, these);
}
