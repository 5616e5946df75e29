/* A CUDA driver without a device. It has the entry points that KernelAD binds, with the signatures and numbers that NVIDIA publishes for cuda.h,
   refuses every argument that a driver would refuse, counts what lives, and fails any call on demand. Copies, graphs and one kernel really work, on host
   memory; everything is done at once, streams or not.

   The tests steer it through the stub_ functions; another process through environment variables:
     STUB_VERSION=10020   the CUDA version that the driver reports
     STUB_DEVICES=0       how many devices it has, 2 at most
     STUB_FAIL=cuInit:803 a call that fails, and its CUresult */
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct object *CUcontext, *CUstream, *CUevent, *CUmodule, *CUgraph, *CUgraphExec, *CUgraphNode;
typedef struct function *CUfunction;

enum {
    SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, STUB_LIBRARY = 34, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209, INVALID_PTX = 218, JIT_COMPILER_NOT_FOUND = 221, UNSUPPORTED_PTX_VERSION = 222, INVALID_HANDLE = 400, NOT_FOUND = 500,
    NOT_READY = 600, ILLEGAL_ADDRESS = 700, SYSTEM_DRIVER_MISMATCH = 803, STREAM_CAPTURE_UNSUPPORTED = 900, UNKNOWN = 999
};

static const struct { int code; const char *name, *text; } results[] = {
    { SUCCESS, "CUDA_SUCCESS", "no error" },
    { INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument" },
    { OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory" },
    { NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error" },
    { NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected" },
    { INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal" },
    { INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context" },
    { NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device" },
    { INVALID_PTX, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed" },
    { JIT_COMPILER_NOT_FOUND, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND", "PTX JIT compiler library not found" },
    { UNSUPPORTED_PTX_VERSION, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain." },
    { INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle" },
    { NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found" },
    { NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready" },
    { ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered" },
    { SYSTEM_DRIVER_MISMATCH, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination" },
    { STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing" },
    { UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error" },
};

static const struct { const char *name; int major, minor, multiprocessors, shared; } devices[] = {
    { "Stub A100", 8, 0, 108, 166912 }, { "Stub Orin", 8, 7, 16, 166912 },
};

enum { DEVICES = 2, OBJECTS = 16384, FUNCTIONS = 8, CALLS = 8192, FIRST_DEVICE = 10 };
static const size_t total_memory = (size_t)16 << 30, free_memory = (size_t)1 << 30;
static const CUdeviceptr first_address = 0xA0000000000ull; /* above 32 bits, and no host address */

struct function { struct object *module; char name[64]; int dynamic_shared; };

enum kind { CONTEXT, MEMORY, PINNED, STREAM, EVENT, MODULE, GRAPH, EXECUTABLE };
static const char *kinds[] = { "context", "device memory", "pinned memory", "stream", "event", "module", "graph", "executable graph" };

struct work { enum { COPY_IN, COPY_OUT, COPY, FILL, KERNEL } what; CUdeviceptr to, from; void *host; size_t bytes; unsigned char value; int count; float delta; };

/* Never reused, so that a handle of something dead is known for what it is. */
struct object {
    enum kind kind;
    int live, device, references, timing, recorded, capturing, works;
    struct object *context;
    CUdeviceptr address;
    size_t bytes;
    void *host;
    struct work *work;
    char *text;
    struct function functions[FUNCTIONS];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct object *objects[OBJECTS];
static int object_count;
static CUcontext contexts[DEVICES];
static CUdeviceptr next_address;
static int initialised, version = 12040, device_count = DEVICES, pushed;
static const char *calls[CALLS];
static int call_count, fail_at, fail_code;
static char fail_name[64];
static char fault[256];
static unsigned launch[7];
static __thread CUcontext current[8];
static __thread int depth;

static void unlock(void *unused) { (void)unused; pthread_mutex_unlock(&mutex); }

/* Counts the call; ordered is its CUresult where it was told to fail. */
#define CALL int lock __attribute__((cleanup(unlock), unused)) = pthread_mutex_lock(&mutex); const int ordered = enter(__func__)
/* Fails as ordered before anything is done. */
#define ENTER CALL; if (ordered) return ordered; if (!initialised) return refuse(NOT_INITIALIZED, __func__, "before cuInit")
#define REQUIRE(condition, code) do { if (!(condition)) return refuse(code, __func__, #condition); } while (0)
#define CURRENT (depth ? current[depth - 1] : NULL)

static int enter(const char *name) {
    if (call_count < CALLS) calls[call_count] = name;
    call_count++;
    return call_count == fail_at || strcmp(name, fail_name) == 0 ? fail_code : SUCCESS;
}

static CUresult refuse(CUresult code, const char *call, const char *what) {
    if (!*fault) snprintf(fault, sizeof fault, "%s: not so: %s", call, what);
    return code;
}

static int is(struct object *o, enum kind kind) {
    for (int i = 0; i < object_count; i++)
        if (objects[i] == o) return o->kind == kind && o->live;
    return 0;
}

static struct object *make(enum kind kind) {
    if (object_count == OBJECTS) abort();
    struct object *o = objects[object_count++] = calloc(1, sizeof *o);
    o->kind = kind; o->live = 1; o->context = CURRENT;
    return o;
}

static void end(struct object *o) {
    o->live = 0;
    free(o->host); free(o->work); free(o->text);
    o->host = NULL; o->work = NULL; o->text = NULL;
}

static unsigned char *find(CUdeviceptr address, size_t bytes) {
    for (int i = 0; i < object_count; i++) {
        struct object *o = objects[i];
        if (o->kind == MEMORY && o->live && address >= o->address && address + bytes <= o->address + o->bytes)
            return (unsigned char *)o->host + (address - o->address);
    }
    return NULL;
}

static void run(const struct work *w) {
    switch (w->what) {
        case COPY_IN: memcpy(find(w->to, w->bytes), w->host, w->bytes); break;
        case COPY_OUT: memcpy(w->host, find(w->from, w->bytes), w->bytes); break;
        case COPY: memcpy(find(w->to, w->bytes), find(w->from, w->bytes), w->bytes); break;
        case FILL: memset(find(w->to, w->bytes), w->value, w->bytes); break;
        case KERNEL: for (int i = 0; i < w->count; i++) ((float *)find(w->to, w->bytes))[i] += w->delta; break;
    }
}

static CUresult give(CUstream stream, struct work w) {
    if (stream->capturing) {
        stream->work = realloc(stream->work, (stream->works + 1) * sizeof w);
        stream->work[stream->works++] = w;
    } else run(&w);
    return SUCCESS;
}

/* ---- the driver ---- */

CUresult cuGetErrorName(CUresult error, const char **text) {
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i].code == error) { *text = results[i].name; return SUCCESS; }
    *text = NULL;
    return INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **text) {
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        if (results[i].code == error) { *text = results[i].text; return SUCCESS; }
    *text = NULL;
    return INVALID_VALUE;
}

CUresult cuDriverGetVersion(int *number) { CALL; if (ordered) return ordered; *number = version; return SUCCESS; }

CUresult cuInit(unsigned flags) {
    CALL; if (ordered) return ordered;
    REQUIRE(flags == 0, INVALID_VALUE);
    if (device_count == 0) return NO_DEVICE;
    initialised = 1;
    return SUCCESS;
}

CUresult cuDeviceGetCount(int *count) { ENTER; *count = device_count; return SUCCESS; }

/* The driver's number of a device need not be its ordinal. */
CUresult cuDeviceGet(CUdevice *device, int ordinal) { ENTER; REQUIRE(ordinal >= 0 && ordinal < device_count, INVALID_DEVICE); *device = FIRST_DEVICE + ordinal; return SUCCESS; }

#define DEVICE(device) ((device) - FIRST_DEVICE)
#define IS_DEVICE(device) (DEVICE(device) >= 0 && DEVICE(device) < device_count)

CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    ENTER;
    REQUIRE(IS_DEVICE(device), INVALID_DEVICE); REQUIRE(length >= 64, INVALID_VALUE);
    memset(name, '?', length);
    strcpy(name, devices[DEVICE(device)].name);
    return SUCCESS;
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) { ENTER; REQUIRE(IS_DEVICE(device), INVALID_DEVICE); *bytes = total_memory; return SUCCESS; }

CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    ENTER;
    REQUIRE(IS_DEVICE(device), INVALID_DEVICE);
    switch (attribute) {
        case 16: *value = devices[DEVICE(device)].multiprocessors; return SUCCESS; /* CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT */
        case 75: *value = devices[DEVICE(device)].major; return SUCCESS;           /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR */
        case 76: *value = devices[DEVICE(device)].minor; return SUCCESS;           /* CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR */
        case 82: *value = 65536; return SUCCESS;                                   /* CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR */
        case 97: *value = devices[DEVICE(device)].shared; return SUCCESS;          /* CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN */
    }
    return refuse(INVALID_VALUE, __func__, "an attribute that the stub knows");
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    ENTER;
    REQUIRE(IS_DEVICE(device), INVALID_DEVICE);
    CUcontext *primary = &contexts[DEVICE(device)];
    if (!*primary) { *primary = make(CONTEXT); (*primary)->device = DEVICE(device); (*primary)->context = NULL; }
    (*primary)->references++;
    *context = *primary;
    return SUCCESS;
}

/* What frees is done even where it is told to fail: a driver frees, and then reports what earlier work has come to. */
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    CALL;
    REQUIRE(IS_DEVICE(device), INVALID_DEVICE);
    CUcontext context = contexts[DEVICE(device)];
    REQUIRE(context && context->references > 0, INVALID_CONTEXT);
    if (--context->references == 0) {
        for (int i = 0; i < object_count; i++)
            if (objects[i]->live && objects[i]->context == context) return refuse(INVALID_CONTEXT, __func__, kinds[objects[i]->kind]);
        end(context);
        contexts[DEVICE(device)] = NULL;
    }
    return ordered;
}

CUresult cuCtxSetCurrent(CUcontext context) {
    ENTER;
    REQUIRE(is(context, CONTEXT), INVALID_CONTEXT);
    if (!depth) depth = 1;
    current[depth - 1] = context;
    return SUCCESS;
}

CUresult cuCtxPushCurrent_v2(CUcontext context) {
    ENTER;
    REQUIRE(is(context, CONTEXT), INVALID_CONTEXT); REQUIRE(depth < 8, INVALID_CONTEXT);
    current[depth++] = context; pushed++;
    return SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    CALL;
    REQUIRE(depth > 0, INVALID_CONTEXT);
    *context = current[--depth]; pushed--;
    return ordered;
}

CUresult cuMemGetInfo_v2(size_t *available, size_t *total) { ENTER; REQUIRE(CURRENT, INVALID_CONTEXT); *available = free_memory; *total = total_memory; return SUCCESS; }

CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
    ENTER;
    REQUIRE(CURRENT, INVALID_CONTEXT); REQUIRE(bytes > 0, INVALID_VALUE);
    if (bytes > free_memory) return OUT_OF_MEMORY;
    struct object *o = make(MEMORY);
    o->bytes = bytes; o->host = malloc(bytes);
    *address = o->address = first_address + next_address;
    next_address += (bytes + 511) / 256 * 256; /* a gap between any two */
    return SUCCESS;
}

CUresult cuMemFree_v2(CUdeviceptr address) {
    CALL;
    for (int i = 0; i < object_count; i++)
        if (objects[i]->kind == MEMORY && objects[i]->live && objects[i]->address == address) {
            REQUIRE(objects[i]->context == CURRENT, INVALID_CONTEXT);
            end(objects[i]);
            return ordered;
        }
    return refuse(INVALID_VALUE, __func__, "allocated memory");
}

CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
    ENTER;
    REQUIRE(CURRENT, INVALID_CONTEXT); REQUIRE(bytes > 0, INVALID_VALUE); REQUIRE(flags <= 7, INVALID_VALUE);
    if (bytes > free_memory) return OUT_OF_MEMORY;
    struct object *o = make(PINNED);
    *address = o->host = malloc(bytes);
    return SUCCESS;
}

CUresult cuMemFreeHost(void *address) {
    CALL;
    for (int i = 0; i < object_count; i++)
        if (objects[i]->kind == PINNED && objects[i]->live && objects[i]->host == address) {
            REQUIRE(objects[i]->context == CURRENT, INVALID_CONTEXT);
            end(objects[i]);
            return ordered;
        }
    return refuse(INVALID_VALUE, __func__, "pinned memory");
}

#define STREAM_HERE(stream) REQUIRE(is(stream, STREAM), INVALID_HANDLE); REQUIRE((stream)->context == CURRENT, INVALID_CONTEXT)

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    ENTER; STREAM_HERE(stream); REQUIRE(find(to, bytes), INVALID_VALUE); REQUIRE(from, INVALID_VALUE);
    return give(stream, (struct work){ .what = COPY_IN, .to = to, .host = (void *)from, .bytes = bytes });
}

CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    ENTER; STREAM_HERE(stream); REQUIRE(find(from, bytes), INVALID_VALUE); REQUIRE(to, INVALID_VALUE);
    return give(stream, (struct work){ .what = COPY_OUT, .from = from, .host = to, .bytes = bytes });
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    ENTER; STREAM_HERE(stream); REQUIRE(find(to, bytes) && find(from, bytes), INVALID_VALUE);
    return give(stream, (struct work){ .what = COPY, .to = to, .from = from, .bytes = bytes });
}

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    ENTER; STREAM_HERE(stream); REQUIRE(find(to, count), INVALID_VALUE);
    return give(stream, (struct work){ .what = FILL, .to = to, .value = value, .bytes = count });
}

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
    ENTER;
    REQUIRE(CURRENT, INVALID_CONTEXT);
    REQUIRE(flags == 1, INVALID_VALUE); /* CU_STREAM_NON_BLOCKING: one that waits for the default stream cannot be promised */
    *stream = make(STREAM);
    return SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) {
    ENTER; STREAM_HERE(stream);
    if (stream->capturing) return STREAM_CAPTURE_UNSUPPORTED;
    return SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
    ENTER; STREAM_HERE(stream);
    REQUIRE(is(event, EVENT), INVALID_HANDLE); REQUIRE(flags <= 1, INVALID_VALUE);
    return SUCCESS;
}

CUresult cuStreamDestroy_v2(CUstream stream) {
    CALL; STREAM_HERE(stream);
    end(stream);
    return ordered;
}

CUresult cuEventCreate(CUevent *event, unsigned flags) {
    ENTER;
    REQUIRE(CURRENT, INVALID_CONTEXT); REQUIRE(flags <= 3, INVALID_VALUE);
    *event = make(EVENT);
    (*event)->timing = !(flags & 2); /* CU_EVENT_DISABLE_TIMING */
    return SUCCESS;
}

CUresult cuEventRecord(CUevent event, CUstream stream) {
    ENTER; STREAM_HERE(stream);
    REQUIRE(is(event, EVENT) && event->context == stream->context, INVALID_HANDLE);
    event->recorded = 1;
    return SUCCESS;
}

CUresult cuEventSynchronize(CUevent event) { ENTER; REQUIRE(is(event, EVENT), INVALID_HANDLE); return SUCCESS; }

CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent stop) {
    ENTER;
    REQUIRE(is(start, EVENT) && is(stop, EVENT), INVALID_HANDLE);
    if (!start->timing || !stop->timing || !start->recorded || !stop->recorded) return INVALID_HANDLE;
    *milliseconds = 1.5f;
    return SUCCESS;
}

CUresult cuEventDestroy_v2(CUevent event) {
    CALL; REQUIRE(is(event, EVENT), INVALID_HANDLE); REQUIRE(event->context == CURRENT, INVALID_CONTEXT);
    end(event);
    return ordered;
}

/* Writes a log as the driver does: cut off to the buffer, and always terminated. */
static void say(char *log, size_t size, const char *what) { snprintf(log, size, "%s", what); }

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, int *options, void **values) {
    ENTER;
    REQUIRE(CURRENT, INVALID_CONTEXT); REQUIRE(image, INVALID_VALUE);
    char *logs[2] = { NULL, NULL };
    size_t sizes[2] = { 0, 0 };
    for (unsigned i = 0; i < count; i++)
        switch (options[i]) {
            case 3: logs[0] = values[i]; break;           /* CU_JIT_INFO_LOG_BUFFER */
            case 4: sizes[0] = (unsigned)(uintptr_t)values[i]; break; /* CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES */
            case 5: logs[1] = values[i]; break;           /* CU_JIT_ERROR_LOG_BUFFER */
            case 6: sizes[1] = (unsigned)(uintptr_t)values[i]; break; /* CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES */
            default: return refuse(INVALID_VALUE, __func__, "a JIT option that the stub knows");
        }
    REQUIRE(logs[0] && logs[1] && sizes[0] >= 1024 && sizes[1] >= 1024 && sizes[0] < 1 << 20 && sizes[1] < 1 << 20, INVALID_VALUE);

    const char *text = image;
    const char *isa = strstr(text, ".version "), *target = strstr(text, ".target sm_");
    if (!isa || !target || strstr(text, "nonsense")) {
        say(logs[1], sizes[1], "ptxas application ptx input, line 7; fatal   : Parsing error near 'nonsense': syntax error\n");
        return INVALID_PTX;
    }
    if (strstr(text, "endless")) { /* an error log that fills its buffer */
        memset(logs[1], 'x', sizes[1] - 1);
        logs[1][sizes[1] - 1] = 0;
        return INVALID_PTX;
    }
    if (atof(isa + 9) > 8.4) {
        say(logs[1], sizes[1], "ptxas application ptx input, line 1; fatal   : Unsupported .version 9.0; current version is '8.4'\n");
        return UNSUPPORTED_PTX_VERSION;
    }
    if (atoi(target + 11) > 10 * devices[CURRENT->device].major + devices[CURRENT->device].minor) {
        say(logs[1], sizes[1], "ptxas fatal   : SM version specified by .target is higher than default SM version assumed\n");
        return NO_BINARY_FOR_GPU;
    }
    say(logs[0], sizes[0], "ptxas info    : compiled\n");
    *module = make(MODULE);
    (*module)->text = strdup(text);
    return SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    ENTER;
    REQUIRE(is(module, MODULE), INVALID_HANDLE); REQUIRE(name, INVALID_VALUE);
    char entry[96];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    if (!strstr(module->text, entry)) return NOT_FOUND;
    for (int i = 0; i < FUNCTIONS; i++) {
        struct function *f = &module->functions[i];
        if (!f->module) { f->module = module; f->dynamic_shared = 48 << 10; snprintf(f->name, sizeof f->name, "%s", name); }
        if (strcmp(f->name, name) == 0) { *function = f; return SUCCESS; }
    }
    return OUT_OF_MEMORY;
}

CUresult cuModuleUnload(CUmodule module) {
    CALL; REQUIRE(is(module, MODULE), INVALID_HANDLE); REQUIRE(module->context == CURRENT, INVALID_CONTEXT);
    end(module);
    return ordered;
}

static int is_function(CUfunction function) {
    for (int i = 0; i < object_count; i++)
        for (int j = 0; j < FUNCTIONS; j++)
            if (function == &objects[i]->functions[j]) return objects[i]->live && function->module == objects[i];
    return 0;
}

CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
    ENTER;
    REQUIRE(is_function(function), INVALID_HANDLE);
    switch (attribute) {
        case 0: *value = 1024; return SUCCESS; /* CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK */
        case 1: *value = 4096; return SUCCESS; /* CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES */
        case 3: *value = 24; return SUCCESS;   /* CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES */
        case 4: *value = 128; return SUCCESS;  /* CU_FUNC_ATTRIBUTE_NUM_REGS */
    }
    return refuse(INVALID_VALUE, __func__, "an attribute that the stub knows");
}

CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
    ENTER;
    REQUIRE(is_function(function), INVALID_HANDLE);
    REQUIRE(attribute == 8, INVALID_VALUE); /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
    if (value < 0 || value > devices[function->module->context->device].shared) return INVALID_VALUE;
    function->dynamic_shared = value;
    return SUCCESS;
}

/* Every kernel of the stub is (float *data, int count, float delta): it adds delta to each element. */
CUresult cuLaunchKernel(CUfunction function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, CUstream stream,
                        void **parameters, void **extra) {
    ENTER; STREAM_HERE(stream);
    REQUIRE(is_function(function) && function->module->context == CURRENT, INVALID_HANDLE);
    REQUIRE(parameters && !extra, INVALID_VALUE);
    if (!gx || !gy || !gz || gy > 65535 || gz > 65535 || !bx || !by || !bz || bz > 64 || (size_t)bx * by * bz > 1024) return INVALID_VALUE;
    if (shared > (unsigned)function->dynamic_shared) return INVALID_VALUE;
    memcpy(launch, (unsigned[]){ gx, gy, gz, bx, by, bz, shared }, sizeof launch);
    struct work w = { .what = KERNEL, .to = *(CUdeviceptr *)parameters[0], .count = *(int *)parameters[1], .delta = *(float *)parameters[2] };
    w.bytes = w.count * sizeof(float);
    REQUIRE(find(w.to, w.bytes), ILLEGAL_ADDRESS);
    return give(stream, w);
}

CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    ENTER; STREAM_HERE(stream);
    REQUIRE(mode == 1, INVALID_VALUE); /* CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: the others hinder other threads, or let this one err */
    REQUIRE(!stream->capturing, INVALID_VALUE);
    stream->capturing = 1;
    return SUCCESS;
}

CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    CALL; STREAM_HERE(stream);
    REQUIRE(stream->capturing, INVALID_VALUE);
    *graph = NULL;
    if (!ordered) {
        *graph = make(GRAPH);
        (*graph)->work = stream->work; (*graph)->works = stream->works;
    } else free(stream->work);
    stream->capturing = stream->works = 0; stream->work = NULL;
    return ordered;
}

CUresult cuGraphInstantiate_v2(CUgraphExec *executable, CUgraph graph, CUgraphNode *node, char *log, size_t size) {
    ENTER;
    REQUIRE(is(graph, GRAPH), INVALID_HANDLE); REQUIRE(!node && !log && size == 0, INVALID_VALUE);
    *executable = make(EXECUTABLE);
    (*executable)->works = graph->works;
    (*executable)->work = memcpy(malloc(graph->works * sizeof *graph->work + 1), graph->work, graph->works * sizeof *graph->work);
    return SUCCESS;
}

CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    ENTER; STREAM_HERE(stream);
    REQUIRE(is(executable, EXECUTABLE), INVALID_HANDLE);
    for (int i = 0; i < executable->works; i++) run(&executable->work[i]);
    return SUCCESS;
}

CUresult cuGraphDestroy(CUgraph graph) { CALL; REQUIRE(is(graph, GRAPH), INVALID_HANDLE); end(graph); return ordered; }

CUresult cuGraphExecDestroy(CUgraphExec executable) { CALL; REQUIRE(is(executable, EXECUTABLE), INVALID_HANDLE); end(executable); return ordered; }

/* ---- what the tests steer it with ---- */

/* Forgets calls, faults and orders; what lives goes on living. */
void stub_reset(void) {
    call_count = fail_at = fail_code = 0;
    *fail_name = *fault = 0;
    version = 12040; device_count = DEVICES;
}

void stub_fail_at(int call, int code) { fail_at = call; fail_code = code; }
void stub_fail_name(const char *name, int code) { snprintf(fail_name, sizeof fail_name, "%s", name); fail_code = code; }
void stub_set_version(int number) { version = number; }
void stub_set_devices(int count) { device_count = count; }
int stub_calls(void) { return call_count; }
const char *stub_call(int index) { return calls[index]; }
const char *stub_fault(void) { return fault; }
int stub_pushed(void) { return pushed; }
int stub_current_device(void) { return CURRENT ? CURRENT->device : -1; }
unsigned stub_launch(int index) { return launch[index]; }

int stub_live(void) {
    int live = 0;
    for (int i = 0; i < object_count; i++) live += objects[i]->live;
    return live;
}

__attribute__((constructor)) static void load(void) {
    const char *number = getenv("STUB_VERSION"), *count = getenv("STUB_DEVICES"), *fail = getenv("STUB_FAIL");
    if (number) version = atoi(number);
    if (count) device_count = atoi(count);
    if (fail && sscanf(fail, "%63[^:]:%d", fail_name, &fail_code) != 2) abort();
}
