/* The cascade of biquads, compiled: the bits of scipy.signal.sosfilt at the machine's own speed.
 *
 * What is computed, and what happens to samples that are missing or not finite, stands at the
 * head of ionm/filters/sos.py; _ScipyCascade there is this file's twin. Here is how:
 *
 * - A group of channels runs side by side, one channel per vector lane. A block of samples is
 *   transposed in registers into a tile (one vector per sample), passes through up to four
 *   sections at a time whose state and coefficients stay in registers, and is transposed back.
 * - Only multiplications, additions and subtractions in scipy's order; build with
 *   -ffp-contract=off, so that no two of them become one. Hence equal bits on every path.
 * - A push is cut where any channel of a group changes between ok and not ok; within such a
 *   stretch a channel either runs or is held, so the arithmetic knows nothing of harm.
 *
 * A push is one call, from chunk to chunk: at 1 to 5 ms per chunk, calls would cost as much as samples.
 *
 * The file includes itself once per vector width (LANES). Compilers without GNU vectors get the
 * plain C path. Limited API of Python 3.11, no numpy headers: arrays come as buffers.
 */

#ifndef LANES

#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "needs float64 arithmetic without excess precision"
#endif

#define MAX_LANES 8
#define BLOCK 128            /* samples per tile: 8 KiB of 8 lanes stay in the first-level cache */
#define GIL_THRESHOLD 20000  /* channel-samples (some 20 us) above which other threads may run */

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define NAME(base) JOIN(base, LANES)

/* in[lane], out[lane]: n <= BLOCK samples each; state: [section][2][lane], carried on. */
typedef void filter_function(const double *coefficients, Py_ssize_t n_sections, double *state,
                             const double *const *in, double *const *out, Py_ssize_t n);

/* Whether n samples are all of at most the size whose bits are `largest`. */
typedef int sound_function(const double *x, Py_ssize_t n, int64_t largest);

/* Magnitudes of doubles order as their bits do, with infinity and NaN on top. */
static inline int64_t magnitude_bits(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & INT64_MAX;
}

#define LANES 1
#define TARGET
#include "_kernels.c"

#if defined(__GNUC__) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector) && (defined(__x86_64__) || defined(__aarch64__))
#define VECTORS

#define LANES 2
#define TARGET
#include "_kernels.c"

#ifdef __x86_64__
#define LANES 4
#define TARGET __attribute__((target("avx2")))
#include "_kernels.c"

#define LANES 8
#define TARGET __attribute__((target("avx512f")))
#include "_kernels.c"
#endif

#endif
#endif

static filter_function *const filters[MAX_LANES + 1] = {
    [1] = filter_1,
#ifdef VECTORS
    [2] = filter_2,
#ifdef __x86_64__
    [4] = filter_4,
    [8] = filter_8,
#endif
#endif
};

typedef struct {
    const char *name;
    int lanes; /* of a full group */
    sound_function *sound;
} path_type;

/* The paths this machine can take, fastest first; returns how many. */
static int available(path_type paths[4])
{
    int n = 0;
#ifdef VECTORS
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f"))
        paths[n++] = (path_type){"avx512", 8, sound_8};
    if (__builtin_cpu_supports("avx2"))
        paths[n++] = (path_type){"avx2", 4, sound_4};
    paths[n++] = (path_type){"sse2", 2, sound_2};
#else
    paths[n++] = (path_type){"neon", 2, sound_2};
#endif
#endif
    paths[n++] = (path_type){"c", 1, sound_1};
    return n;
}

typedef struct {
    PyObject_HEAD
    Py_ssize_t n_channels;
    Py_ssize_t n_sections;
    int64_t hold;     /* samples */
    int64_t settling; /* samples */
    int64_t largest;  /* bits of the largest sample taken for one */
    path_type path;
    int busy;
    int quiet;             /* every channel runs, was ok at its last sample and has settled */
    double *coefficients;  /* [section][b0 b1 b2 a1 a2] */
    double *zi;            /* [section][2], for a constant 1 */
    double *state;         /* [group][section][2][lane] */
    double *saved;         /* [section][2][lane] */
    double *last;          /* [channel], the last output */
    int64_t *missing;      /* [channel], samples since the last ok one */
    int64_t *unsettled;    /* [channel], ok samples still to come until settled */
    unsigned char *sound;  /* [channel], whether all of this push is ok */
} Cascade;

/* The rows of one push; strides in elements. */
typedef struct {
    const double *x;
    const unsigned char *valid;
    double *y;
    unsigned char *flags; /* or NULL where `valid` stands for them */
    Py_ssize_t n, x_stride, valid_stride;
} rows;

static inline int is_ok(const Cascade *self, const rows *r, Py_ssize_t channel, Py_ssize_t t)
{
    return r->valid[channel * r->valid_stride + t]
           && magnitude_bits(r->x[channel * r->x_stride + t]) <= self->largest;
}

/* Lanes of the group that starts at channel `first`: few channels left over need no wide vectors. */
static int lanes_from(const Cascade *self, Py_ssize_t first)
{
    int lanes = self->path.lanes;
    while (lanes > 1 && self->n_channels - first <= lanes / 2)
        lanes /= 2;
    return lanes;
}

static void start_lane(const Cascade *self, double *state, int lanes, int lane, double x)
{
    for (Py_ssize_t i = 0; i < 2 * self->n_sections; i++)
        state[i * lanes + lane] = self->zi[i] * x;
}

static void copy_lane(const Cascade *self, double *to, const double *from, int lanes, int lane)
{
    for (Py_ssize_t i = lane; i < 2 * self->n_sections * lanes; i += lanes)
        to[i] = from[i];
}

/* Samples [start, stop) of one group, of which the channels marked in `running` are all ok and
 * the others are all not. Lanes beyond the last channel run on silence. */
static void advance_stretch(Cascade *self, const rows *r, Py_ssize_t first, const unsigned char *running,
                            Py_ssize_t start, Py_ssize_t stop)
{
    static const double silence[BLOCK];
    double discarded[BLOCK];
    const double *in[MAX_LANES];
    double *out[MAX_LANES];
    const int lanes = lanes_from(self, first);
    double *state = self->state + first * 2 * self->n_sections;

    for (Py_ssize_t t = start; t < stop; t += BLOCK) {
        for (int lane = 0; lane < lanes; lane++) {
            const Py_ssize_t c = first + lane;
            in[lane] = running[lane] ? r->x + c * r->x_stride + t : silence;
            out[lane] = running[lane] ? r->y + c * r->n + t : discarded;
        }
        filters[lanes](self->coefficients, self->n_sections, state, in, out, stop - t < BLOCK ? stop - t : BLOCK);
    }
}

/* Carry one group of channels, from channel `first` on, through a push. */
static void advance_group(Cascade *self, const rows *r, Py_ssize_t first)
{
    const Py_ssize_t n = r->n;
    const int lanes = lanes_from(self, first);
    const int real = self->n_channels - first < lanes ? (int)(self->n_channels - first) : lanes;
    double *state = self->state + first * 2 * self->n_sections;
    unsigned char running[MAX_LANES] = {0};

    for (Py_ssize_t start = 0, stop; start < n; start = stop) {
        int n_running = 0;
        stop = n;
        for (int lane = 0; lane < real; lane++) {
            const Py_ssize_t c = first + lane;
            running[lane] = self->sound[c] || is_ok(self, r, c, start);
            n_running += running[lane];
            if (!self->sound[c]) {
                Py_ssize_t t = start + 1;
                while (t < stop && is_ok(self, r, c, t) == running[lane])
                    t++;
                stop = t;
            }
        }
        for (int lane = 0; lane < real; lane++) {
            const Py_ssize_t c = first + lane;
            if (running[lane]) {
                if (self->missing[c] > self->hold) {
                    start_lane(self, state, lanes, lane, r->x[c * r->x_stride + start]);
                    self->unsettled[c] = self->settling;
                }
                self->missing[c] = 0;
            }
            else {
                for (Py_ssize_t t = start; t < stop; t++)
                    r->y[c * n + t] = self->last[c];
                memset(r->flags + c * n + start, 0, (size_t)(stop - start));
                self->missing[c] += stop - start;
            }
        }
        if (n_running == 0)
            continue;
        if (n_running < real)
            memcpy(self->saved, state, sizeof(double) * (size_t)(2 * self->n_sections * lanes));
        advance_stretch(self, r, first, running, start, stop);
        for (int lane = 0; lane < real; lane++) {
            const Py_ssize_t c = first + lane;
            if (!running[lane]) {
                copy_lane(self, state, self->saved, lanes, lane);
                continue;
            }
            self->last[c] = r->y[c * n + stop - 1];
            if (r->flags) {
                const int64_t m = self->unsettled[c] < stop - start ? self->unsettled[c] : stop - start;
                unsigned char *flags = r->flags + c * n + start;
                memset(flags, 0, (size_t)m);
                memset(flags + m, 1, (size_t)(stop - start - m));
                self->unsettled[c] -= m;
            }
        }
    }
}

static void advance(Cascade *self, const rows *r)
{
    for (Py_ssize_t first = 0; first < self->n_channels; first += self->path.lanes)
        advance_group(self, r, first);
    if (r->flags) {
        self->quiet = 1;
        for (Py_ssize_t c = 0; c < self->n_channels; c++)
            self->quiet &= self->missing[c] == 0 && self->unsettled[c] == 0;
    }
}

/* Note which channels are ok throughout; returns whether all are. */
static int survey(Cascade *self, const rows *r)
{
    const Py_ssize_t n = r->n, total = n * self->n_channels;
    if (r->x_stride == n && r->valid_stride == n && !memchr(r->valid, 0, (size_t)total)
        && self->path.sound(r->x, total, self->largest)) {
        memset(self->sound, 1, (size_t)self->n_channels);
        return 1;
    }
    int all = 1;
    for (Py_ssize_t c = 0; c < self->n_channels; c++) {
        self->sound[c] = !memchr(r->valid + c * r->valid_stride, 0, (size_t)n)
                         && self->path.sound(r->x + c * r->x_stride, n, self->largest);
        all &= self->sound[c];
    }
    return all;
}

/* What a push needs of Python; one interpreter only, as numpy. */
static struct {
    PyObject *chunk_type, *signal_error, *empty, *bool_type;
    PyObject *data, *valid, *start, *triggers, *notes;
} py;

/* A chunk on its way through: its arrays as buffers, where they were taken. */
typedef struct {
    PyObject *start;
    PyObject *arrays[4]; /* data, valid, the output's data and, where needed, flags */
    Py_buffer views[4];
} passage;

static void release(passage *p)
{
    for (int i = 0; i < 4; i++) {
        if (p->views[i].obj)
            PyBuffer_Release(&p->views[i]);
        Py_XDECREF(p->arrays[i]);
    }
    Py_XDECREF(p->start);
}

static PyObject *shape_of(const Py_buffer *view)
{
    PyObject *shape = PyTuple_New(view->ndim);
    for (int i = 0; shape && i < view->ndim; i++)
        PyTuple_SetItem(shape, i, PyLong_FromSsize_t(view->shape[i]));
    return shape;
}

/* Take array i of the chunk and check it; n < 0 takes any number of samples. */
static int take(passage *p, int i, PyObject *chunk, PyObject *name, char format, const char *type,
                Py_ssize_t n_channels, Py_ssize_t n)
{
    Py_buffer *view = &p->views[i];
    p->arrays[i] = PyObject_GetAttr(chunk, name);
    if (p->arrays[i] == NULL)
        return -1;
    const int failed = PyObject_GetBuffer(p->arrays[i], view, PyBUF_RECORDS_RO) < 0;
    if (failed || view->format == NULL || view->format[0] != format || view->format[1] != '\0') {
        PyErr_Clear();
        PyErr_Format(py.signal_error, "expected %U of %s, got %s, at sample %S", name, type,
                     failed || view->format == NULL ? "no array" : view->format, p->start);
        return -1;
    }
    if (view->ndim != 2 || view->shape[0] != n_channels || (n >= 0 && view->shape[1] != n)) {
        char wanted[32] = "n_samples";
        if (n >= 0)
            PyOS_snprintf(wanted, sizeof wanted, "%lld", (long long)n);
        PyObject *shape = shape_of(view);
        if (shape)
            PyErr_Format(py.signal_error, "expected %U of shape (%zd, %s), got %S, at sample %S", name, n_channels,
                         wanted, shape, p->start);
        Py_XDECREF(shape);
        return -1;
    }
    if (view->len > 0 && (view->strides[1] != view->itemsize || view->strides[0] % view->itemsize
                          || (uintptr_t)view->buf % (uintptr_t)view->itemsize)) {
        PyErr_Format(py.signal_error,
                     "expected %U whose samples lie side by side, got strides (%zd, %zd) bytes, at sample %S", name,
                     view->strides[0], view->strides[1], p->start);
        return -1;
    }
    return 0;
}

/* Make array i: an empty one of the data's shape, of float64 or the type given. */
static void *make(passage *p, int i, PyObject *type)
{
    PyObject *shape = shape_of(&p->views[0]);
    if (shape == NULL)
        return NULL;
    p->arrays[i] = PyObject_CallFunctionObjArgs(py.empty, shape, type, NULL);
    Py_DECREF(shape);
    if (p->arrays[i] == NULL || PyObject_GetBuffer(p->arrays[i], &p->views[i], PyBUF_CONTIG) < 0)
        return NULL;
    return p->views[i].buf;
}

/* The chunk that leaves: the new samples and flags, all else as it came. */
static PyObject *leave(passage *p, PyObject *chunk)
{
    allocfunc alloc = (allocfunc)PyType_GetSlot((PyTypeObject *)py.chunk_type, Py_tp_alloc);
    PyObject *triggers = PyObject_GetAttr(chunk, py.triggers);
    PyObject *notes = PyObject_GetAttr(chunk, py.notes);
    PyObject *result = triggers && notes ? alloc((PyTypeObject *)py.chunk_type, 0) : NULL;
    /* past the frozen dataclass's own __setattr__, as its __init__ goes */
    if (result
        && (PyObject_GenericSetAttr(result, py.data, p->arrays[2]) < 0
            || PyObject_GenericSetAttr(result, py.valid, p->arrays[p->arrays[3] ? 3 : 1]) < 0
            || PyObject_GenericSetAttr(result, py.start, p->start) < 0
            || PyObject_GenericSetAttr(result, py.triggers, triggers) < 0
            || PyObject_GenericSetAttr(result, py.notes, notes) < 0)) {
        Py_DECREF(result);
        result = NULL;
    }
    Py_XDECREF(triggers);
    Py_XDECREF(notes);
    return result;
}

/* Everything that can fail comes before the state is touched. */
static PyObject *pass(Cascade *self, passage *p, PyObject *chunk)
{
    p->start = PyObject_GetAttr(chunk, py.start);
    if (p->start == NULL || take(p, 0, chunk, py.data, 'd', "float64", self->n_channels, -1) < 0)
        return NULL;
    const Py_ssize_t n = p->views[0].shape[1];
    if (take(p, 1, chunk, py.valid, '?', "bool", self->n_channels, n) < 0)
        return NULL;
    rows r = {p->views[0].buf, p->views[1].buf, make(p, 2, NULL), NULL, n,
              p->views[0].strides[0] / (Py_ssize_t)sizeof(double), p->views[1].strides[0]};
    if (r.y == NULL)
        return NULL;
    const Py_ssize_t total = n * self->n_channels;
    if (total == 0)
        return leave(p, chunk);
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a cascade takes one push at a time");
        return NULL;
    }
    if (!survey(self, &r) || !self->quiet) {
        r.flags = make(p, 3, py.bool_type);
        if (r.flags == NULL)
            return NULL;
    }
    PyObject *result = leave(p, chunk);
    if (result == NULL)
        return NULL;
    if (total > GIL_THRESHOLD) {
        self->busy = 1;
        Py_BEGIN_ALLOW_THREADS
        advance(self, &r);
        Py_END_ALLOW_THREADS
        self->busy = 0;
    }
    else
        advance(self, &r);
    return result;
}

PyDoc_STRVAR(push_doc, "push(chunk)\n\nThe filtered chunk; SignalError if its arrays are not those of the stream.");

static PyObject *Cascade_push(PyObject *self, PyObject *chunk)
{
    if ((PyObject *)Py_TYPE(chunk) != py.chunk_type) {
        PyErr_Format(PyExc_TypeError, "expected a Chunk, got %R", (PyObject *)Py_TYPE(chunk));
        return NULL;
    }
    passage p = {0};
    PyObject *result = pass((Cascade *)self, &p, chunk);
    release(&p);
    return result;
}

static int choose(Cascade *self, const char *name)
{
    path_type paths[4];
    const int n = available(paths);
    for (int i = 0; i < n; i++)
        if (strcmp(paths[i].name, name) == 0) {
            self->path = paths[i];
            return 0;
        }
    PyErr_Format(PyExc_ValueError, "no path '%s' here", name);
    return -1;
}

/* Zeroed memory for count elements; NULL stays NULL for the caller to find. */
#define ALLOCATE(count, type) ((type *)PyMem_Calloc((size_t)(count), sizeof(type)))

static PyObject *Cascade_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *sos, *zi, *path;
    Py_ssize_t sos_size, zi_size, n_channels;
    long long hold, settling;
    double largest;
    if (kwargs && PyDict_Size(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Cascade takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "y#y#nLLds", &sos, &sos_size, &zi, &zi_size, &n_channels, &hold, &settling,
                          &largest, &path))
        return NULL;
    const Py_ssize_t n_sections = zi_size / (Py_ssize_t)(2 * sizeof(double));
    if (n_sections < 1 || zi_size != n_sections * (Py_ssize_t)(2 * sizeof(double)) || sos_size != 3 * zi_size
        || n_channels < 0 || n_channels > INT32_MAX || hold < 0 || hold == LLONG_MAX || settling < 0) {
        PyErr_SetString(PyExc_ValueError, "sizes of a cascade do not fit together");
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Cascade *self = (Cascade *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    if (choose(self, path) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    const int lanes = self->path.lanes;
    const Py_ssize_t padded = (n_channels + lanes - 1) / lanes * lanes;
    self->n_channels = n_channels;
    self->n_sections = n_sections;
    self->hold = hold;
    self->settling = settling;
    self->largest = magnitude_bits(largest);
    self->coefficients = ALLOCATE(5 * n_sections, double);
    self->zi = ALLOCATE(2 * n_sections, double);
    self->state = ALLOCATE(2 * n_sections * padded, double);
    self->saved = ALLOCATE(2 * n_sections * lanes, double);
    self->last = ALLOCATE(n_channels, double);
    self->missing = ALLOCATE(n_channels, int64_t);
    self->unsettled = ALLOCATE(n_channels, int64_t);
    self->sound = ALLOCATE(n_channels, unsigned char);
    if (!self->coefficients || !self->zi || !self->state || !self->saved || !self->last || !self->missing
        || !self->unsettled || !self->sound) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    memcpy(self->zi, zi, (size_t)zi_size);
    for (Py_ssize_t s = 0; s < n_sections; s++) {
        double section[6];
        memcpy(section, sos + s * (Py_ssize_t)sizeof section, sizeof section);
        memcpy(self->coefficients + 5 * s, section, 3 * sizeof(double));
        memcpy(self->coefficients + 5 * s + 3, section + 4, 2 * sizeof(double));
    }
    for (Py_ssize_t c = 0; c < n_channels; c++)
        self->missing[c] = hold + 1; /* a start is due */
    return (PyObject *)self;
}

static void Cascade_dealloc(PyObject *object)
{
    Cascade *self = (Cascade *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyMem_Free(self->coefficients);
    PyMem_Free(self->zi);
    PyMem_Free(self->state);
    PyMem_Free(self->saved);
    PyMem_Free(self->last);
    PyMem_Free(self->missing);
    PyMem_Free(self->unsettled);
    PyMem_Free(self->sound);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyMethodDef cascade_methods[] = {
    {"push", Cascade_push, METH_O, push_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(cascade_doc, "Cascade(sos, zi, n_channels, hold, settling, largest, path)\n\n"
                          "A cascade of sections with its memory; sos and zi are the bytes of float64 arrays.");

static PyType_Slot cascade_slots[] = {
    {Py_tp_doc, (void *)cascade_doc},
    {Py_tp_new, (void *)Cascade_new},
    {Py_tp_dealloc, (void *)Cascade_dealloc},
    {Py_tp_methods, (void *)cascade_methods},
    {0, NULL},
};

static PyType_Spec cascade_spec = {
    .name = "ionm._kernels.Cascade",
    .basicsize = sizeof(Cascade),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = cascade_slots,
};

/* An attribute of a module, by name; NULL sets an exception. */
static PyObject *from_module(const char *module_name, const char *name)
{
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_XDECREF(module);
    return found;
}

static PyObject *path_names(void)
{
    path_type paths[4];
    const int n = available(paths);
    PyObject *names = PyTuple_New(n);
    for (int i = 0; names && i < n; i++)
        PyTuple_SetItem(names, i, PyUnicode_FromString(paths[i].name));
    return names;
}

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_kernels",
    .m_doc = "The compiled cascade of second-order sections.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__kernels(void)
{
    py.chunk_type = from_module("ionm.stream", "Chunk");
    py.signal_error = from_module("ionm.errors", "SignalError");
    py.empty = from_module("numpy", "empty");
    py.bool_type = from_module("numpy", "bool_");
    py.data = PyUnicode_InternFromString("data");
    py.valid = PyUnicode_InternFromString("valid");
    py.start = PyUnicode_InternFromString("start");
    py.triggers = PyUnicode_InternFromString("triggers");
    py.notes = PyUnicode_InternFromString("notes");
    PyObject *names = path_names(), *type = PyType_FromSpec(&cascade_spec), *module = NULL;
    if (!PyErr_Occurred())
        module = PyModule_Create(&module_definition);
    if (module
        && (PyModule_AddObjectRef(module, "PATHS", names) < 0 || PyModule_AddObjectRef(module, "Cascade", type) < 0)) {
        Py_DECREF(module);
        module = NULL;
    }
    Py_XDECREF(names);
    Py_XDECREF(type);
    return module;
}

#else /* LANES: one path */

#if LANES == 1
typedef double vec_1;
typedef double loose_1;
#else
typedef double NAME(vec) __attribute__((vector_size(8 * LANES)));
typedef double NAME(loose) __attribute__((vector_size(8 * LANES), aligned(8), may_alias)); /* anywhere in an array */
#endif
#define VEC NAME(vec)
#define LOOSE NAME(loose)

#if LANES == 1
#define SPLAT(value) (value)
#else
#define SPLAT(value) ((value) - (VEC){0}) /* - 0.0 keeps every value, the sign of zero included */
#endif

/* Transpose LANES vectors: exchange ever larger blocks between rows i and j = i + step. */
#define EXCHANGE(i, j, even, odd)                         \
    {                                                     \
        const VEC kept = r[i];                            \
        r[i] = __builtin_shufflevector(kept, r[j], even); \
        r[j] = __builtin_shufflevector(kept, r[j], odd);  \
    }
#define LIST(...) __VA_ARGS__

#if LANES == 1
#define TRANSPOSE(r)
#elif LANES == 2
#define STEP1(i, j) EXCHANGE(i, j, LIST(0, 2), LIST(1, 3))
#define TRANSPOSE(r) STEP1(0, 1)
#elif LANES == 4
#define STEP1(i, j) EXCHANGE(i, j, LIST(0, 4, 2, 6), LIST(1, 5, 3, 7))
#define STEP2(i, j) EXCHANGE(i, j, LIST(0, 1, 4, 5), LIST(2, 3, 6, 7))
#define TRANSPOSE(r) STEP1(0, 1) STEP1(2, 3) STEP2(0, 2) STEP2(1, 3)
#elif LANES == 8
#define STEP1(i, j) EXCHANGE(i, j, LIST(0, 8, 2, 10, 4, 12, 6, 14), LIST(1, 9, 3, 11, 5, 13, 7, 15))
#define STEP2(i, j) EXCHANGE(i, j, LIST(0, 1, 8, 9, 4, 5, 12, 13), LIST(2, 3, 10, 11, 6, 7, 14, 15))
#define STEP4(i, j) EXCHANGE(i, j, LIST(0, 1, 2, 3, 8, 9, 10, 11), LIST(4, 5, 6, 7, 12, 13, 14, 15))
#define TRANSPOSE(r)                                    \
    STEP1(0, 1) STEP1(2, 3) STEP1(4, 5) STEP1(6, 7)     \
    STEP2(0, 2) STEP2(1, 3) STEP2(4, 6) STEP2(5, 7)     \
    STEP4(0, 4) STEP4(1, 5) STEP4(2, 6) STEP4(3, 7)
#endif

/* Rows to tile: one vector per sample. The last square overlaps the one before it. */
TARGET static void NAME(gather)(const double *const *in, VEC *tile, Py_ssize_t n)
{
    if (n < LANES) {
        for (Py_ssize_t t = 0; t < n; t++)
            for (int lane = 0; lane < LANES; lane++)
                ((double *)(tile + t))[lane] = in[lane][t];
        return;
    }
    for (Py_ssize_t done = 0; done < n; done += LANES) {
        const Py_ssize_t t = done < n - LANES ? done : n - LANES;
        VEC r[LANES];
        for (int i = 0; i < LANES; i++)
            r[i] = *(const LOOSE *)(in[i] + t);
        TRANSPOSE(r)
        for (int i = 0; i < LANES; i++)
            tile[t + i] = r[i];
    }
}

/* Tile to rows. */
TARGET static void NAME(scatter)(const VEC *tile, double *const *out, Py_ssize_t n)
{
    if (n < LANES) {
        for (Py_ssize_t t = 0; t < n; t++)
            for (int lane = 0; lane < LANES; lane++)
                out[lane][t] = ((const double *)(tile + t))[lane];
        return;
    }
    for (Py_ssize_t done = 0; done < n; done += LANES) {
        const Py_ssize_t t = done < n - LANES ? done : n - LANES;
        VEC r[LANES];
        for (int i = 0; i < LANES; i++)
            r[i] = tile[t + i];
        TRANSPOSE(r)
        for (int i = 0; i < LANES; i++)
            *(LOOSE *)(out[i] + t) = r[i];
    }
}

/* A pass of the tile through one to four sections. A numerator with b2 = b0 (every Butterworth edge
 * and notch) needs that product only once: the same bits for a multiplication less. */
#define TAKE(k)                                                                                   \
    VEC p##k = ((const LOOSE *)state)[2 * k], q##k = ((const LOOSE *)state)[2 * k + 1];           \
    const VEC b0##k = SPLAT(c[5 * k]), b1##k = SPLAT(c[5 * k + 1]), b2##k = SPLAT(c[5 * k + 2]),  \
              a1##k = SPLAT(c[5 * k + 3]), a2##k = SPLAT(c[5 * k + 4]);
#define SECTION(k, EVEN)                                 \
    {                                                    \
        const VEC b0x = b0##k * x, y = b0x + p##k;       \
        p##k = (b1##k * x - a1##k * y) + q##k;           \
        q##k = (EVEN ? b0x : b2##k * x) - a2##k * y;     \
        x = y;                                           \
    }
#define SECTION_ANY(k) SECTION(k, 0)
#define SECTION_EVEN(k) SECTION(k, 1)
#define IS_EVEN(k) && c[5 * k] == c[5 * k + 2]
#define GIVE(k)                         \
    ((LOOSE *)state)[2 * k] = p##k;     \
    ((LOOSE *)state)[2 * k + 1] = q##k;
#define SWEEP(SECTIONS)                        \
    for (Py_ssize_t t = 0; t < n; t++) {       \
        VEC x = tile[t];                       \
        SECTIONS                               \
        tile[t] = x;                           \
    }
#define PASS(name, ALL)                                                                     \
    TARGET static void NAME(name)(const double *c, double *state, VEC *tile, Py_ssize_t n)  \
    {                                                                                       \
        ALL(TAKE)                                                                           \
        if (1 ALL(IS_EVEN))                                                                 \
            SWEEP(ALL(SECTION_EVEN))                                                        \
        else                                                                                \
            SWEEP(ALL(SECTION_ANY))                                                         \
        ALL(GIVE)                                                                           \
    }
#define ONE(F) F(0)
#define TWO(F) F(0) F(1)
#define THREE(F) F(0) F(1) F(2)
#define FOUR(F) F(0) F(1) F(2) F(3)
PASS(pass1, ONE)
PASS(pass2, TWO)
PASS(pass3, THREE)
PASS(pass4, FOUR)

TARGET static void NAME(filter)(const double *coefficients, Py_ssize_t n_sections, double *state,
                                const double *const *in, double *const *out, Py_ssize_t n)
{
    VEC tile[BLOCK];
    NAME(gather)(in, tile, n);
    for (Py_ssize_t left = n_sections, size; left > 0; left -= size) {
        const Py_ssize_t passes = (left + 3) / 4;
        size = (left + passes - 1) / passes; /* 9 sections as 3 + 3 + 3, not 4 + 4 + 1 */
        if (size == 4)
            NAME(pass4)(coefficients, state, tile, n);
        else if (size == 3)
            NAME(pass3)(coefficients, state, tile, n);
        else if (size == 2)
            NAME(pass2)(coefficients, state, tile, n);
        else
            NAME(pass1)(coefficients, state, tile, n);
        coefficients += 5 * size;
        state += 2 * LANES * size;
    }
    NAME(scatter)(tile, out, n);
}

TARGET static int NAME(sound)(const double *x, Py_ssize_t n, int64_t largest)
{
    int64_t excess = 0; /* negative once any sample exceeded */
    for (Py_ssize_t t = 0; t < n; t++)
        excess |= largest - magnitude_bits(x[t]);
    return excess >= 0;
}

#undef VEC
#undef LOOSE
#undef SPLAT
#undef EXCHANGE
#undef LIST
#undef STEP1
#undef STEP2
#undef STEP4
#undef TRANSPOSE
#undef TAKE
#undef SECTION
#undef SECTION_ANY
#undef SECTION_EVEN
#undef IS_EVEN
#undef SWEEP
#undef GIVE
#undef PASS
#undef ONE
#undef TWO
#undef THREE
#undef FOUR
#undef TARGET
#undef LANES

#endif
