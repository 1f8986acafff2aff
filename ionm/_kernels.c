/* What the live path spends its time on, compiled. Everything here has a twin in Python that gives the
 * same bits and says what is computed: _ScipyCascade in ionm/filters/sos.py is the twin of Cascade; those
 * of whole, extent, Course, Swings, NullTail and Background bear the same names in ionm/detectors and
 * ionm/quality.py, that of Canceller in ionm/filters. ionm/compiled.py chooses. Only the
 * cascade is more than a plain rendering:
 *
 * - A group of channels runs side by side, one channel per vector lane. A block of samples is
 *   transposed in registers into a tile (one vector per sample), passes through up to eight
 *   sections at a time whose state stays in registers, and is transposed back. In a pass each
 *   section is one sample behind the section before it, so that none waits for another.
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

/* The canceller of hum: see canceller.py for both. */
#define HUM_TILE 32 /* samples, at most */
#define HUM_LANES 8 /* LANES there */
typedef void foretell_function(const double *real, const double *imag, const unsigned char *taken, Py_ssize_t n_harmonics,
                               const double *cosines, const double *sines, Py_ssize_t n, double *out);
typedef void correlate_function(const double *x, const double *weight, Py_ssize_t n_harmonics, const double *cosines,
                                const double *sines, Py_ssize_t n, double *sums);

/* Magnitudes of doubles order as their bits do, with infinity and NaN on top. */
static inline int64_t magnitude_bits(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits & INT64_MAX;
}

#ifdef __GNUC__
#define INLINED static inline __attribute__((always_inline))
#elif defined(_MSC_VER)
#define INLINED static __forceinline
#else
#define INLINED static inline
#endif

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

static foretell_function *const foretellers[MAX_LANES + 1] = {
    [1] = foretell_1,
#ifdef VECTORS
    [2] = foretell_2,
#ifdef __x86_64__
    [4] = foretell_4,
    [8] = foretell_8,
#endif
#endif
};

static correlate_function *const correlators[MAX_LANES + 1] = {
    [1] = correlate_1,
#ifdef VECTORS
    [2] = correlate_2,
#ifdef __x86_64__
    [4] = correlate_4,
    [8] = correlate_8,
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

static int choose(path_type *path, const char *name)
{
    path_type paths[4];
    const int n = available(paths);
    for (int i = 0; i < n; i++)
        if (strcmp(paths[i].name, name) == 0) {
            *path = paths[i];
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
    if (choose(&self->path, path) < 0) {
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

/* What ionm/detectors/waveform.py and swing.py define, in their order of operations. */

#define RUNNING_SUMS 8    /* LANES there */
#define PAUSE 4           /* of that name there */
#define MAX_CROSSTALK 0.5 /* of that name there */

/* total() of `term`, an expression of t, over 0 <= t < n (n > 0). The sums start from -0.0, which keeps every value. */
#define TOTAL(result, n, term)                                                         \
    {                                                                                  \
        double sums_[RUNNING_SUMS];                                                    \
        Py_ssize_t done_ = 0;                                                          \
        for (int k_ = 0; k_ < RUNNING_SUMS; k_++)                                      \
            sums_[k_] = -0.0;                                                          \
        for (; done_ + RUNNING_SUMS <= (n); done_ += RUNNING_SUMS)                     \
            for (int k_ = 0; k_ < RUNNING_SUMS; k_++) {                                \
                const Py_ssize_t t = done_ + k_;                                       \
                sums_[k_] += (term);                                                   \
            }                                                                          \
        for (int k_ = 0; done_ < (n) && k_ < RUNNING_SUMS; k_++) {                     \
            const Py_ssize_t t = done_ + k_;                                           \
            sums_[k_] += t < (n) ? (term) : 0.0;                                       \
        }                                                                              \
        result = sums_[0];                                                             \
        for (int k_ = 1; k_ < RUNNING_SUMS; k_++)                                      \
            result += sums_[k_];                                                       \
    }

static double total(const double *x, Py_ssize_t n)
{
    double sum;
    TOTAL(sum, n, x[t])
    return n ? sum : 0.0;
}

static double total_product(const double *x, const double *y, Py_ssize_t n)
{
    double sum;
    TOTAL(sum, n, x[t] * y[t])
    return n ? sum : 0.0;
}

static double total_square_about(const double *x, double mean, Py_ssize_t n)
{
    double sum;
    TOTAL(sum, n, (x[t] - mean) * (x[t] - mean))
    return n ? sum : 0.0;
}

static inline double lesser(double a, double b)
{
    return a < b ? a : b;
}

static inline double greater(double a, double b)
{
    return a > b ? a : b;
}

/* x -= weight * y */
static void take_away(double *x, double weight, const double *y, Py_ssize_t n)
{
    for (Py_ssize_t t = 0; t < n; t++)
        x[t] -= weight * y[t];
}

static double peak_to_peak(const double *x, Py_ssize_t n)
{
    double low[RUNNING_SUMS], high[RUNNING_SUMS]; /* side by side, since one comparison waits for the last */
    Py_ssize_t t = 0;
    for (int k = 0; k < RUNNING_SUMS; k++)
        low[k] = high[k] = x[0];
    for (; t + RUNNING_SUMS <= n; t += RUNNING_SUMS)
        for (int k = 0; k < RUNNING_SUMS; k++) {
            low[k] = lesser(x[t + k], low[k]);
            high[k] = greater(x[t + k], high[k]);
        }
    for (; t < n; t++) {
        low[0] = lesser(x[t], low[0]);
        high[0] = greater(x[t], high[0]);
    }
    for (int k = 1; k < RUNNING_SUMS; k++) {
        low[0] = lesser(low[k], low[0]);
        high[0] = greater(high[k], high[0]);
    }
    return high[0] - low[0];
}

/* A turn of a trace: waveform.Turn. */
typedef struct {
    Py_ssize_t index;
    double prominence, swing;
    int upward;
} turning;

/* waveform.turn; n > 0, low and high are room for n values each. */
static turning turn(const double *x, Py_ssize_t n, double *low, double *high)
{
    double left_low = x[0], left_high = x[0], peak = 0.0, trough = 0.0;
    Py_ssize_t peak_at = 0, trough_at = 0;
    low[n - 1] = high[n - 1] = x[n - 1]; /* the lowest and highest from each sample on */
    for (Py_ssize_t t = n - 2; t >= 0; t--) {
        low[t] = lesser(x[t], low[t + 1]);
        high[t] = greater(x[t], high[t + 1]);
    }
    const double lowest = low[0], highest = high[0];
    for (Py_ssize_t t = 0; t < n; t++) {
        left_low = lesser(x[t], left_low);
        left_high = greater(x[t], left_high);
        const double rise = x[t] - greater(left_low, low[t]), fall = lesser(left_high, high[t]) - x[t];
        if (rise > peak) {
            peak = rise;
            peak_at = t;
        }
        if (fall > trough) {
            trough = fall;
            trough_at = t;
        }
    }
    /* of the two sides the deeper one reaches the extreme of the whole trace */
    if (peak >= trough)
        return (turning){peak_at, peak, x[peak_at] - lowest, 1};
    return (turning){trough_at, trough, highest - x[trough_at], 0};
}

/* waveform._outside: x[-step] is the last quiet sample, x[last * step] the turn. */
static double outside(const double *x, Py_ssize_t step, Py_ssize_t last, double level, double swing, Py_ssize_t rest)
{
    const double target = 0.05 * swing, before = fabs(x[-step]), high = fabs(x[0]);
    if (high < level)
        return 0.0;
    double by = high > before ? (high - level) / (high - before) : 0.0;
    if (level > target) {
        const double enough = lesser(0.5 * swing, 2.0 * level);
        Py_ssize_t run = 0;
        while (run <= last && !(fabs(x[run * step]) >= enough))
            run++;
        const double slope = 0 < run && run <= last ? (fabs(x[run * step]) - high) / (double)run : 0.0;
        if (slope > 0.0)
            by += lesser((double)rest, (level - target) / slope);
    }
    return by;
}

/* waveform.onset */
static double onset(const double *x, const turning *found, double reach, Py_ssize_t rest, Py_ssize_t earliest)
{
    const double target = 0.05 * found->swing;
    const double level = greater(reach, target);
    Py_ssize_t first = -1;
    for (Py_ssize_t t = found->index; t >= 0 && (first < 0 || first - t <= rest); t--)
        if (fabs(x[t]) >= level)
            first = t;
    if (first < 0)
        first = found->index;
    if (first <= earliest) {
        Py_ssize_t turned = earliest;
        for (Py_ssize_t t = earliest; t <= found->index; t++)
            if (found->upward ? x[t] < x[turned] : x[t] > x[turned])
                turned = t;
        return (double)turned;
    }
    return (double)first - outside(x + first, 1, found->index - first, level, found->swing, rest);
}

/* waveform.end; n > found->index */
static double end_of(const double *x, Py_ssize_t n, const turning *found, double reach, Py_ssize_t rest)
{
    const double target = 0.05 * found->swing;
    const double level = greater(reach, target), again = greater(2.0 * reach, target);
    const Py_ssize_t pause = rest < n ? PAUSE * rest : n;
    Py_ssize_t last = found->index;
    for (Py_ssize_t t = last + 1; t < n && t - last <= pause; t++)
        if (fabs(x[t]) >= again)
            last = t;
    for (Py_ssize_t t = last + 1; t < n && t - last <= rest; t++)
        if (fabs(x[t]) >= level)
            last = t;
    if (last + 1 == n)
        return (double)last;
    return lesser((double)last + outside(x + last, -1, last - found->index, level, found->swing, rest), (double)(n - 1));
}

/* waveform.turns */
static Py_ssize_t turns(const double *x, Py_ssize_t n, double step)
{
    Py_ssize_t count = 0;
    int direction = 0; /* not known before the first step */
    double low = 0.0, high = 0.0;
    for (Py_ssize_t t = 0; t <= n; t++) {
        const double value = t < n ? x[t] : 0.0;
        low = lesser(value, low);
        high = greater(value, high);
        if (direction >= 0 && high - value > step) {
            count += direction > 0;
            direction = -1;
            low = value;
        }
        else if (direction <= 0 && value - low > step) {
            count += direction < 0;
            direction = 1;
            high = value;
        }
    }
    return count;
}

/* Rows of a sweep with samples of a format, side by side; -1 with an exception if they are not. */
static int open_rows(PyObject *array, char format, Py_buffer *view)
{
    if (PyObject_GetBuffer(array, view, PyBUF_RECORDS_RO) < 0)
        return -1;
    if (view->format && view->format[0] == format && view->format[1] == '\0' && view->ndim == 2
        && view->strides[1] == view->itemsize && view->strides[0] % view->itemsize == 0
        && (uintptr_t)view->buf % (uintptr_t)view->itemsize == 0)
        return 0;
    PyBuffer_Release(view);
    PyErr_Format(PyExc_ValueError, "need a sweep's rows of type '%c' whose samples lie side by side", format);
    return -1;
}

/* An index below a limit; -1 with an exception if it is not. */
static Py_ssize_t index_of(PyObject *number, Py_ssize_t limit)
{
    const Py_ssize_t index = PyLong_AsSsize_t(number);
    if (index >= 0 && index < limit)
        return index;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_IndexError, "row %zd of a sweep of %zd rows", index, limit);
    return -1;
}

/* A stretch of columns, at least one; -1 with an exception if it is no slice within the limit. */
static int stretch_of(PyObject *slice, Py_ssize_t limit, Py_ssize_t *first, Py_ssize_t *size)
{
    Py_ssize_t stop, step;
    if (!PySlice_Check(slice)) {
        PyErr_Format(PyExc_TypeError, "need columns as a slice, got %R", slice);
        return -1;
    }
    if (PySlice_Unpack(slice, first, &stop, &step) < 0)
        return -1;
    *size = stop - *first;
    if (*first >= 0 && *first < stop && stop <= limit && step == 1)
        return 0;
    PyErr_Format(PyExc_IndexError, "columns %R of %zd", slice, limit);
    return -1;
}

static int wants(const char *name, Py_ssize_t wanted, Py_ssize_t given)
{
    if (given == wanted)
        return 0;
    PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, got %zd", name, wanted, given);
    return -1;
}

static PyObject *floats(const double *values, Py_ssize_t n)
{
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple && i < n; i++) {
        PyObject *value = PyFloat_FromDouble(values[i]);
        if (value)
            PyTuple_SetItem(tuple, i, value);
        else
            Py_CLEAR(tuple);
    }
    return tuple;
}

/* A named tuple of a type from a plain one, which it consumes; NULL stays NULL. */
static PyObject *named(PyObject *type, PyObject *fields)
{
    newfunc new = (newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new);
    PyObject *args = fields ? PyTuple_Pack(1, fields) : NULL;
    PyObject *result = args ? new ((PyTypeObject *)type, args, NULL) : NULL;
    Py_XDECREF(args);
    Py_XDECREF(fields);
    return result;
}

PyDoc_STRVAR(whole_doc, "whole(valid, rows, columns)\n\nSee ionm.detectors.waveform.whole.");

static PyObject *whole(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    Py_buffer valid;
    Py_ssize_t first, size;
    (void)module;
    if (wants("whole", 3, nargs) < 0 || open_rows(args[0], '?', &valid) < 0)
        return NULL;
    int is_whole = 1;
    if (!PyTuple_Check(args[1]))
        PyErr_Format(PyExc_TypeError, "need rows as a tuple, got %R", args[1]);
    else if (stretch_of(args[2], valid.shape[1], &first, &size) == 0)
        for (Py_ssize_t i = 0; is_whole && i < PyTuple_Size(args[1]); i++) {
            const Py_ssize_t row = index_of(PyTuple_GetItem(args[1], i), valid.shape[0]);
            is_whole = row >= 0 && !memchr((char *)valid.buf + row * valid.strides[0] + first, 0, (size_t)size);
        }
    PyBuffer_Release(&valid);
    return PyErr_Occurred() ? NULL : PyBool_FromLong(is_whole);
}

/* Row `row` of float64 rows. */
static const double *row_of(const Py_buffer *data, Py_ssize_t row)
{
    return (const double *)data->buf + row * (data->strides[0] / (Py_ssize_t)sizeof(double));
}

PyDoc_STRVAR(extent_doc, "extent(data, row, columns, length)\n\nSee ionm.detectors.waveform.extent.");

static PyObject *extent(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    Py_buffer data;
    Py_ssize_t first, n;
    (void)module;
    if (wants("extent", 4, nargs) < 0)
        return NULL;
    const Py_ssize_t length = index_of(args[3], PY_SSIZE_T_MAX);
    if (length < 0 || open_rows(args[0], 'd', &data) < 0)
        return NULL;
    PyObject *result = NULL;
    const Py_ssize_t row = index_of(args[1], data.shape[0]);
    if (row >= 0 && stretch_of(args[2], data.shape[1], &first, &n) == 0) {
        const double *x = row_of(&data, row) + first;
        const double mean = total(x, n) / (double)n;
        const double found[3] = {mean, total_square_about(x, mean, n) / (double)n,
                                 peak_to_peak(x, length < n ? length : n)};
        result = floats(found, 3);
    }
    PyBuffer_Release(&data);
    return result;
}

/* Copy an array of decays, (n_decays, n); returns n_decays or -1 with an exception. */
static Py_ssize_t copy_decays(PyObject *array, Py_ssize_t n, double **to)
{
    Py_buffer view;
    if (PyObject_GetBuffer(array, &view, PyBUF_RECORDS_RO) < 0)
        return -1;
    Py_ssize_t n_decays = -1;
    if (view.ndim != 2 || view.shape[1] != n || strcmp(view.format, "d") != 0)
        PyErr_Format(PyExc_ValueError, "need decays of float64, shape (n_decays, %zd)", n);
    else if ((*to = ALLOCATE(view.shape[0] * n + 1, double)) == NULL)
        PyErr_NoMemory();
    else if (PyBuffer_ToContiguous(*to, &view, view.len, 'C') == 0)
        n_decays = view.shape[0];
    PyBuffer_Release(&view);
    return n_decays;
}

typedef struct {
    PyObject_HEAD
    PyObject *shape_type;
    Py_ssize_t first, n; /* columns */
    Py_ssize_t lead, stop, rest, n_decays;
    double *decays;  /* [decay][n] */
    double *scratch; /* [trace low high][n] */
} Course;

static PyObject *Course_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *columns, *decays;
    Py_ssize_t lead, stop, rest, first, n;
    if (kwargs && PyDict_Size(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Course takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "OnnnO", &columns, &lead, &stop, &rest, &decays)
        || stretch_of(columns, PY_SSIZE_T_MAX / 64, &first, &n) < 0)
        return NULL;
    if (lead < 0 || lead >= stop || stop > n || rest < 0) {
        PyErr_Format(PyExc_ValueError, "need 0 <= lead < stop <= %zd and rest >= 0, got lead=%zd, stop=%zd, rest=%zd",
                     n, lead, stop, rest);
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Course *self = (Course *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->first = first;
    self->n = n;
    self->lead = lead;
    self->stop = stop;
    self->rest = rest;
    self->shape_type = from_module("ionm.detectors.waveform", "Shape");
    self->n_decays = self->shape_type ? copy_decays(decays, n, &self->decays) : -1;
    if (self->n_decays < 0) {
        Py_DECREF(self);
        return NULL;
    }
    self->scratch = ALLOCATE(3 * n, double);
    if (self->scratch == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void Course_dealloc(PyObject *object)
{
    Course *self = (Course *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(self->shape_type);
    PyMem_Free(self->decays);
    PyMem_Free(self->scratch);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(object);
    Py_DECREF(type);
}

/* The cleaned trace of a row into self->scratch; -1 with an exception. */
static int clean(Course *self, const Py_buffer *data, PyObject *row_number, double level, PyObject *copy,
                 PyObject *weights)
{
    const Py_ssize_t n = self->n, row = index_of(row_number, data->shape[0]);
    if (row < 0)
        return -1;
    if (self->first + n > data->shape[1] || !PyTuple_Check(weights) || PyTuple_Size(weights) != self->n_decays) {
        PyErr_Format(PyExc_ValueError, "need %zd columns and a tuple of %zd weights, got %zd columns and %R",
                     self->first + n, self->n_decays, data->shape[1], weights);
        return -1;
    }
    double *trace = self->scratch;
    const double *x = row_of(data, row) + self->first;
    for (Py_ssize_t t = 0; t < n; t++)
        trace[t] = x[t] - level;
    if (copy != Py_None) {
        Py_ssize_t other;
        double share, other_level;
        if (!PyTuple_Check(copy) || !PyArg_ParseTuple(copy, "ndd", &other, &share, &other_level)
            || other < 0 || other >= data->shape[0]) {
            PyErr_Format(PyExc_ValueError, "need a copy as (row, share, level), got %R", copy);
            return -1;
        }
        const double *m = row_of(data, other) + self->first;
        for (Py_ssize_t t = 0; t < n; t++)
            trace[t] -= share * (m[t] - other_level);
    }
    for (Py_ssize_t j = 0; j < self->n_decays; j++) {
        const double weight = PyFloat_AsDouble(PyTuple_GetItem(weights, j));
        take_away(trace, weight, self->decays + j * n, n);
    }
    return PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(shape_doc, "shape(data, row, level, copy, weights, reach)\n\nSee ionm.detectors.waveform.Course.shape.");

static PyObject *Course_shape(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    Course *self = (Course *)object;
    Py_buffer data;
    if (wants("shape", 6, nargs) < 0 || open_rows(args[0], 'd', &data) < 0)
        return NULL;
    const double level = PyFloat_AsDouble(args[2]), reach = PyFloat_AsDouble(args[5]);
    const int failed = PyErr_Occurred() || clean(self, &data, args[1], level, args[3], args[4]) < 0;
    PyBuffer_Release(&data);
    if (failed)
        return NULL;
    const Py_ssize_t n = self->n, lead = self->lead;
    const double *x = self->scratch;
    turning found = turn(x + lead, self->stop - lead, self->scratch + n, self->scratch + 2 * n);
    found.index += lead;
    const Py_ssize_t earliest = self->rest <= lead / 2 ? lead - 2 * self->rest : 0;
    const double begin = onset(x, &found, reach, self->rest, earliest);
    const double close = end_of(x, n, &found, reach, self->rest);
    const Py_ssize_t first = begin > 0.0 ? (Py_ssize_t)ceil(begin) : 0, size = (Py_ssize_t)close + 1 - first;
    const double target = 0.05 * found.swing;
    double area;
    TOTAL(area, size, fabs(x[first + t]))
    return named(self->shape_type,
                 Py_BuildValue("(dnddddn)", begin, found.index, found.prominence, found.swing, close, area,
                               turns(x + first, size, 2.0 * greater(reach, target))));
}

static PyMethodDef course_methods[] = {
    {"shape", (PyCFunction)(void (*)(void))Course_shape, METH_FASTCALL, shape_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(course_doc, "Course(columns, lead, stop, rest, decays)\n\nSee ionm.detectors.waveform.Course.");

static PyType_Slot course_slots[] = {
    {Py_tp_doc, (void *)course_doc},
    {Py_tp_new, (void *)Course_new},
    {Py_tp_dealloc, (void *)Course_dealloc},
    {Py_tp_methods, (void *)course_methods},
    {0, NULL},
};

static PyType_Spec course_spec = {
    .name = "ionm._kernels.Course",
    .basicsize = sizeof(Course),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = course_slots,
};

typedef struct {
    PyObject_HEAD
    PyObject *reading_type;
    Py_ssize_t n_rows, bin, offset, n_bins, half, window, n_window, fit, n_fit, n_decays; /* swing.Geometry */
    double least;
    Py_ssize_t *rows;
    double *basis;   /* [decay][n_fit] */
    double *decays;  /* [decay][n_bins] */
    double *scratch; /* [control, unexplained, trace, band, low, high][n_bins] */
} Swings;

/* The stretches that one sweep leaves for its background. */
typedef struct {
    Py_ssize_t first, width, count;
} stretches;

static int set_up(Swings *self, PyObject *rows, PyObject *window, PyObject *fit, PyObject *basis, PyObject *decays)
{
    const Py_ssize_t n_bins = self->n_bins;
    if (self->bin < 1 || self->offset < 0 || n_bins < 1 || self->half < 1
        || n_bins > (PY_SSIZE_T_MAX / 64 - self->offset) / self->bin || self->half > PY_SSIZE_T_MAX / 64) {
        PyErr_SetString(PyExc_ValueError, "sizes of a geometry do not fit together");
        return -1;
    }
    if (stretch_of(window, n_bins, &self->window, &self->n_window) < 0
        || stretch_of(fit, n_bins, &self->fit, &self->n_fit) < 0)
        return -1;
    if (self->window < 1) {
        PyErr_SetString(PyExc_ValueError, "need a bin before the window");
        return -1;
    }
    self->n_rows = PyTuple_Size(rows);
    self->rows = ALLOCATE(self->n_rows + 1, Py_ssize_t);
    self->scratch = ALLOCATE(6 * n_bins, double);
    if (self->rows == NULL || self->scratch == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < self->n_rows; i++)
        if ((self->rows[i] = index_of(PyTuple_GetItem(rows, i), PY_SSIZE_T_MAX)) < 0)
            return -1;
    const Py_ssize_t n_basis = copy_decays(basis, self->n_fit, &self->basis);
    self->n_decays = n_basis < 0 ? -1 : copy_decays(decays, n_bins, &self->decays);
    if (self->n_decays < 0)
        return -1;
    if (self->n_decays != n_basis || n_basis > self->n_fit) {
        PyErr_Format(PyExc_ValueError, "need as many decays on all bins as on the fit, at most %zd, got %zd and %zd",
                     self->n_fit, self->n_decays, n_basis);
        return -1;
    }
    self->reading_type = from_module("ionm.detectors.swing", "Reading");
    return self->reading_type ? 0 : -1;
}

static PyObject *Swings_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *geometry, *rows, *window, *fit, *basis, *decays;
    if (kwargs && PyDict_Size(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Swings takes no keywords");
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Swings *self = (Swings *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    if (!PyArg_ParseTuple(args, "O!", &PyTuple_Type, &geometry)
        || !PyArg_ParseTuple(geometry, "O!nnnnOOOOd", &PyTuple_Type, &rows, &self->bin, &self->offset, &self->n_bins,
                             &self->half, &window, &fit, &basis, &decays, &self->least)
        || set_up(self, rows, window, fit, basis, decays) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void Swings_dealloc(PyObject *object)
{
    Swings *self = (Swings *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(self->reading_type);
    PyMem_Free(self->rows);
    PyMem_Free(self->basis);
    PyMem_Free(self->decays);
    PyMem_Free(self->scratch);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(object);
    Py_DECREF(type);
}

/* One row in bins, without its level, which is returned. */
static double levelled(const Swings *self, const double *x, const stretches *quiet, double *trace)
{
    const Py_ssize_t bin = self->bin;
    const double scale = 1.0 / (double)bin;
    Py_ssize_t i = 0;
    for (x += self->offset; i + 4 <= self->n_bins; i += 4, x += 4 * bin) { /* four sums wait for each other's turn */
        double a = x[0], b = x[bin], c = x[2 * bin], d = x[3 * bin];
        for (const double *p = x + 1; p < x + bin; p++) {
            a += p[0];
            b += p[bin];
            c += p[2 * bin];
            d += p[3 * bin];
        }
        trace[i] = a * scale;
        trace[i + 1] = b * scale;
        trace[i + 2] = c * scale;
        trace[i + 3] = d * scale;
    }
    for (; i < self->n_bins; i++, x += bin) {
        double sum = x[0];
        for (Py_ssize_t k = 1; k < bin; k++)
            sum += x[k];
        trace[i] = sum * scale;
    }
    const Py_ssize_t n = quiet->count ? quiet->width * quiet->count : 1;
    const double level = total(trace + (quiet->count ? quiet->first : self->window - 1), n) / (double)n;
    for (i = 0; i < self->n_bins; i++)
        trace[i] -= level;
    return level;
}

/* swing._band; `sums` is room for n values. */
static void band_of(const double *trace, Py_ssize_t n_bins, Py_ssize_t half, double *sums, double *band)
{
    const Py_ssize_t phase = 2 * half, n = n_bins - 5 * phase + 1;
    const double one = 1.0 / (double)phase, five = 1.0 / (double)(5 * phase);
    memset(band, 0, sizeof(double) * (size_t)n_bins);
    if (n <= 0)
        return;
    memcpy(sums, trace, sizeof(double) * (size_t)(n + 4 * phase));
    for (Py_ssize_t k = 1; k < phase; k++)
        for (Py_ssize_t i = 0; i < n + 4 * phase; i++)
            sums[i] += trace[k + i];
    const double *second = sums + phase, *near = second + phase, *fourth = near + phase, *last = fourth + phase;
    for (Py_ssize_t i = 0; i < n; i++)
        band[5 * half + i] = near[i] * one - ((((sums[i] + second[i]) + near[i]) + fourth[i]) + last[i]) * five;
}

/* What one judged row shows: the fields of swing.Reading. `energy` is 0 where no control is taken away. */
static PyObject *read_row(const Swings *self, const double *x, const stretches *quiet, Py_ssize_t reference,
                          double energy, double control_level)
{
    const Py_ssize_t n = self->n_bins;
    const double *control = self->scratch, *own = control + n;
    double *trace = self->scratch + 2 * n, *band = trace + n, *low = band + n, *high = low + n;
    const double level = levelled(self, x, quiet, trace);
    const double share = energy > 0.0 ? total_product(trace + self->fit, own, self->n_fit) / energy : 0.0;
    const int shared = fabs(share) > 0.0 && fabs(share) <= MAX_CROSSTALK;
    if (shared)
        take_away(trace, share, control, n);
    PyObject *weights = PyTuple_New(self->n_decays);
    PyObject *examples = PyTuple_New(quiet->count), *energies = PyTuple_New(quiet->count);
    PyObject *ranges = PyTuple_New(quiet->count);
    PyObject *copy = shared ? Py_BuildValue("(ndd)", reference, share, control_level) : Py_NewRef(Py_None);
    PyObject *before = PyBytes_FromStringAndSize((const char *)trace, (Py_ssize_t)sizeof(double) * n);
    PyObject *fields = NULL;
    if (!weights || !examples || !energies || !ranges || !copy || !before)
        goto done;
    for (Py_ssize_t j = 0; j < self->n_decays; j++) {
        low[j] = total_product(trace + self->fit, self->basis + j * self->n_fit, self->n_fit);
        PyTuple_SetItem(weights, j, PyFloat_FromDouble(low[j]));
    }
    for (Py_ssize_t j = 0; j < self->n_decays; j++)
        take_away(trace, low[j], self->decays + j * n, n);
    band_of(trace, n, self->half, low, band);
    for (Py_ssize_t i = 0; i < quiet->count; i++) {
        const Py_ssize_t first = quiet->first + i * quiet->width, width = quiet->width;
        const double *part = band + first;
        PyTuple_SetItem(examples, i, PyFloat_FromDouble(turn(part, width, low, high).swing));
        PyTuple_SetItem(energies, i, PyFloat_FromDouble(total_product(part, part, width) / (double)width));
        PyTuple_SetItem(ranges, i, PyFloat_FromDouble(peak_to_peak(trace + first, width)));
    }
    const double window = turn(band + self->window, self->n_window, low, high).swing;
    if (!PyErr_Occurred())
        fields = Py_BuildValue("(dOOdOOOO)", level, copy, weights, window, examples, energies, ranges, before);
done:
    Py_XDECREF(before);
    Py_XDECREF(weights);
    Py_XDECREF(examples);
    Py_XDECREF(energies);
    Py_XDECREF(ranges);
    Py_XDECREF(copy);
    return named(self->reading_type, fields);
}

/* The M-control in bins and what the decays cannot explain of it; returns its energy. */
static double read_control(Swings *self, const double *x, const stretches *quiet, double *level)
{
    double *control = self->scratch, *own = control + self->n_bins;
    *level = levelled(self, x, quiet, control);
    memcpy(own, control + self->fit, sizeof(double) * (size_t)self->n_fit);
    for (Py_ssize_t j = 0; j < self->n_decays; j++) {
        const double *decay = self->basis + j * self->n_fit;
        take_away(own, total_product(control + self->fit, decay, self->n_fit), decay, self->n_fit);
    }
    return total_product(own, own, self->n_fit);
}

static PyObject *read_sweep(Swings *self, const Py_buffer *data, const stretches *quiet, Py_ssize_t reference)
{
    double level = 0.0;
    double energy = reference >= 0 ? read_control(self, row_of(data, reference), quiet, &level) : 0.0;
    if (!(energy > (double)self->n_fit * (self->least * self->least)))
        energy = 0.0;
    PyObject *found = PyTuple_New(self->n_rows);
    for (Py_ssize_t i = 0; found && i < self->n_rows; i++) {
        PyObject *reading = NULL;
        if (self->rows[i] < data->shape[0])
            reading = read_row(self, row_of(data, self->rows[i]), quiet, reference, energy, level);
        else
            PyErr_Format(PyExc_IndexError, "row %zd of a sweep of %zd rows", self->rows[i], data->shape[0]);
        if (reading)
            PyTuple_SetItem(found, i, reading);
        else
            Py_CLEAR(found);
    }
    return found;
}

PyDoc_STRVAR(read_doc, "read(data, background, reference)\n\nSee ionm.detectors.swing.Swings.read.");

static PyObject *Swings_read(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    Swings *self = (Swings *)object;
    stretches quiet;
    Py_buffer data;
    if (wants("read", 3, nargs) < 0 || !PyArg_Parse(args[1], "(nnn)", &quiet.first, &quiet.width, &quiet.count)
        || open_rows(args[0], 'd', &data) < 0)
        return NULL;
    const Py_ssize_t n = self->n_bins, reference = args[2] == Py_None ? -1 : index_of(args[2], data.shape[0]);
    PyObject *found = NULL;
    if (quiet.first < 0 || quiet.first > n || quiet.width < 1 || quiet.count < 0
        || quiet.count > (n - quiet.first) / quiet.width || data.shape[1] < self->offset + n * self->bin)
        PyErr_SetString(PyExc_ValueError, "the sweep does not fit the geometry");
    else if (reference >= 0 || args[2] == Py_None)
        found = read_sweep(self, &data, &quiet, reference);
    PyBuffer_Release(&data);
    return found;
}

static PyMethodDef swings_methods[] = {
    {"read", (PyCFunction)(void (*)(void))Swings_read, METH_FASTCALL, read_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(swings_doc, "Swings(geometry)\n\nSee ionm.detectors.swing.Swings.");

static PyType_Slot swings_slots[] = {
    {Py_tp_doc, (void *)swings_doc},
    {Py_tp_new, (void *)Swings_new},
    {Py_tp_dealloc, (void *)Swings_dealloc},
    {Py_tp_methods, (void *)swings_methods},
    {0, NULL},
};

static PyType_Spec swings_spec = {
    .name = "ionm._kernels.Swings",
    .basicsize = sizeof(Swings),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = swings_slots,
};

/* What chance makes of a background: ionm/quality.py and ionm/detectors/background.py. */

/* quality.NullTail */
typedef struct {
    Py_ssize_t n, capacity, oldest;
    double *ordered; /* capacity + 1: logarithms, rising */
    double *recent;  /* capacity: the same in the order in which they came, a ring */
    double share, u, xi;
    double xi_prior, u_prior, prior_count, tail_count, tail_share; /* the constants of the Python class */
} null_tail;

/* Places of the first value of at least z and of the first beyond it. */
static Py_ssize_t first_from(const null_tail *null, double z, int beyond)
{
    Py_ssize_t low = 0, high = null->n;
    while (low < high) {
        const Py_ssize_t middle = low + (high - low) / 2;
        if (null->ordered[middle] < z || (beyond && null->ordered[middle] == z))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void shift(double *from, Py_ssize_t by, Py_ssize_t n)
{
    memmove(from + by, from, sizeof(double) * (size_t)n);
}

/* Remember a statistic above zero. */
static void null_remember(null_tail *null, double value)
{
    const double z = log(value);
    if (null->n == null->capacity) {
        const Py_ssize_t place = first_from(null, null->recent[null->oldest], 0);
        null->n--;
        shift(null->ordered + place + 1, -1, null->n - place);
    }
    const Py_ssize_t place = first_from(null, z, 1);
    shift(null->ordered + place, 1, null->n - place);
    null->ordered[place] = z;
    null->n++;
    null->recent[null->oldest] = z;
    null->oldest = (null->oldest + 1) % null->capacity;
}

static void null_fit(null_tail *null)
{
    const Py_ssize_t n = null->n;
    if (n == 0)
        return;
    const double prior = null->prior_count, count = greater(rint(null->tail_share * (double)n), null->tail_count);
    const Py_ssize_t begin = count < (double)n ? n - (Py_ssize_t)count : 3 * n / 4;
    const double first = null->ordered[begin], weight = (double)n / ((double)n + prior);
    double excess = 0.0;
    for (Py_ssize_t i = begin; i < n; i++)
        excess += null->ordered[i] - first;
    null->share = lesser(count / (double)n, 0.25);
    null->u = weight * first + (1.0 - weight) * null->u_prior;
    null->xi = (excess + prior * null->xi_prior) / (lesser((double)(n / 4 + 1), count) + prior);
}

static double null_p_value(const null_tail *null, double value)
{
    if (value <= 0.0)
        return 1.0;
    const double z = log(value);
    if (z > null->u)
        return null->share * exp(-(z - null->u) / null->xi);
    const Py_ssize_t above = null->n - first_from(null, z, 0);
    return greater((double)(above + 1) / (double)(null->n + 1), null->share);
}

static double null_median(const null_tail *null)
{
    return null->n ? exp(null->ordered[null->n / 2]) : 0.0;
}

static double null_threshold(const null_tail *null, double p_value)
{
    return exp(null->u + null->xi * log(null->share / p_value));
}

static void null_free(null_tail *null)
{
    PyMem_Free(null->ordered);
    PyMem_Free(null->recent);
}

/* A fresh memory, with the constants of the Python class; -1 with an exception. */
static int null_start(null_tail *null, Py_ssize_t capacity)
{
    static const char *const names[] = {"XI_PRIOR", "U_PRIOR", "PRIOR_COUNT", "TAIL_COUNT", "TAIL_SHARE"};
    double *const values[] = {&null->xi_prior, &null->u_prior, &null->prior_count, &null->tail_count,
                              &null->tail_share};
    if (capacity < 1 || capacity > INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "need a capacity of at least 1, got %zd", capacity);
        return -1;
    }
    PyObject *class = from_module("ionm.quality", "NullTail");
    for (int i = 0; class && i < 5; i++) {
        PyObject *value = PyObject_GetAttrString(class, names[i]);
        *values[i] = value ? PyFloat_AsDouble(value) : -1.0;
        Py_XDECREF(value);
        if (PyErr_Occurred())
            Py_CLEAR(class);
    }
    if (class == NULL)
        return -1;
    Py_DECREF(class);
    null->capacity = capacity;
    null->ordered = ALLOCATE(capacity, double);
    null->recent = ALLOCATE(capacity, double);
    null->share = 0.25;
    null->u = null->u_prior;
    null->xi = null->xi_prior;
    if (null->ordered && null->recent)
        return 0;
    PyErr_NoMemory();
    return -1;
}

typedef struct {
    PyObject_HEAD
    null_tail null;
} NullTail;

static PyObject *NullTail_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"capacity", NULL};
    Py_ssize_t capacity = 256;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|n", names, &capacity))
        return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    NullTail *self = (NullTail *)alloc(type, 0);
    if (self && null_start(&self->null, capacity) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void NullTail_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    null_free(&((NullTail *)object)->null);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(object);
    Py_DECREF(type);
}

static Py_ssize_t NullTail_length(PyObject *object)
{
    return ((NullTail *)object)->null.n;
}

static PyObject *NullTail_extend(PyObject *object, PyObject *values)
{
    null_tail *null = &((NullTail *)object)->null;
    PyObject *list = PySequence_List(values);
    if (list == NULL)
        return NULL;
    const Py_ssize_t n = PyList_Size(list);
    for (Py_ssize_t i = 0; i < n; i++) {
        const double value = PyFloat_AsDouble(PyList_GetItem(list, i));
        if (!(value > 0.0) && !PyErr_Occurred())
            PyErr_Format(PyExc_ValueError, "need a statistic above zero, got %R", PyList_GetItem(list, i));
        if (PyErr_Occurred())
            break;
        null_remember(null, value);
    }
    Py_DECREF(list);
    if (PyErr_Occurred())
        return NULL;
    null_fit(null);
    return Py_NewRef(Py_None);
}

static PyObject *NullTail_p_value(PyObject *object, PyObject *value)
{
    const double x = PyFloat_AsDouble(value);
    return PyErr_Occurred() ? NULL : PyFloat_FromDouble(null_p_value(&((NullTail *)object)->null, x));
}

static PyObject *NullTail_median(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return PyFloat_FromDouble(null_median(&((NullTail *)object)->null));
}

static PyObject *NullTail_threshold(PyObject *object, PyObject *p_value)
{
    const double p = PyFloat_AsDouble(p_value);
    return PyErr_Occurred() ? NULL : PyFloat_FromDouble(null_threshold(&((NullTail *)object)->null, p));
}

static PyMethodDef null_tail_methods[] = {
    {"extend", NullTail_extend, METH_O, "extend(values)\n\nSee ionm.quality.NullTail.extend."},
    {"p_value", NullTail_p_value, METH_O, "p_value(value)\n\nSee ionm.quality.NullTail.p_value."},
    {"median", NullTail_median, METH_NOARGS, "median()\n\nSee ionm.quality.NullTail.median."},
    {"threshold", NullTail_threshold, METH_O, "threshold(p_value)\n\nSee ionm.quality.NullTail.threshold."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot null_tail_slots[] = {
    {Py_tp_doc, "NullTail(capacity=256)\n\nSee ionm.quality.NullTail."},
    {Py_tp_new, (void *)NullTail_new},
    {Py_tp_dealloc, (void *)NullTail_dealloc},
    {Py_tp_methods, (void *)null_tail_methods},
    {Py_sq_length, (void *)NullTail_length},
    {0, NULL},
};

static PyType_Spec null_tail_spec = {
    .name = "ionm._kernels.NullTail",
    .basicsize = sizeof(NullTail),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = null_tail_slots,
};

#define MEMORY 16  /* of that name in ionm/detectors/background.py */
#define TINY 1e-12 /* of that name there, in V */

typedef struct {
    PyObject_HEAD
    null_tail null;
    Py_ssize_t count; /* sweeps followed */
    double variances[MEMORY], swings[MEMORY];
    double variance, swing;
} Background;

static PyObject *Background_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if ((kwargs && PyDict_Size(kwargs)) || !PyArg_ParseTuple(args, "")) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "Background takes no keywords");
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Background *self = (Background *)alloc(type, 0);
    if (self && null_start(&self->null, 256) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void Background_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    null_free(&((Background *)object)->null);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(object);
    Py_DECREF(type);
}

/* The value of a rank among MEMORY ones. */
static double of_rank(const double *values, int rank)
{
    double ordered[MEMORY];
    for (int i = 0; i < MEMORY; i++) {
        int place = i;
        for (; place > 0 && ordered[place - 1] > values[i]; place--)
            ordered[place] = ordered[place - 1];
        ordered[place] = values[i];
    }
    return ordered[rank];
}

static void follow(Background *self, double variance, double swing)
{
    const int repeat = self->count ? 1 : MEMORY;
    for (int i = 0; i < repeat; i++) {
        self->variances[(self->count + i) % MEMORY] = variance;
        self->swings[(self->count + i) % MEMORY] = swing;
    }
    self->count++;
    self->variance = of_rank(self->variances, 3 * MEMORY / 4);
    self->swing = of_rank(self->swings, MEMORY / 2);
}

/* Number i of a tuple. */
static double number(PyObject *tuple, Py_ssize_t i)
{
    return PyFloat_AsDouble(PyTuple_GetItem(tuple, i));
}

static PyObject *Background_noise(PyObject *object, PyObject *read)
{
    Background *self = (Background *)object;
    PyObject *swings, *energies, *ranges, *ignored;
    double window;
    if (!PyArg_ParseTuple(read, "OOOdO!O!O!O", &ignored, &ignored, &ignored, &window, &PyTuple_Type, &swings,
                          &PyTuple_Type, &energies, &PyTuple_Type, &ranges, &ignored))
        return NULL;
    const Py_ssize_t count = PyTuple_Size(energies);
    if (PyTuple_Size(swings) != count || PyTuple_Size(ranges) != count) {
        PyErr_Format(PyExc_ValueError, "need as many swings and ranges as energies, got %R", read);
        return NULL;
    }
    const double past = self->variance;
    if (count == 0)
        return self->count ? PyFloat_FromDouble(sqrt(past)) : Py_NewRef(Py_None);
    double energy = 0.0, swing = 0.0;
    for (Py_ssize_t i = 0; i < count; i++) {
        const double range = number(ranges, i);
        energy += number(energies, i);
        swing += range * range;
        number(swings, i);
    }
    if (PyErr_Occurred())
        return NULL;
    for (Py_ssize_t i = 0; i < count; i++) {
        const double own = number(energies, i), size = number(swings, i);
        const double others = count > 1 ? (energy - own) / (double)(count - 1) : own;
        const double beside = sqrt(greater(past, others));
        if (size > 0.0 && beside > TINY)
            null_remember(&self->null, size / beside);
    }
    null_fit(&self->null);
    const double variance = energy / (double)count;
    follow(self, variance, swing / (double)count);
    return PyFloat_FromDouble(sqrt(greater(past, variance)));
}

static PyObject *Background_chance(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    if (wants("chance", 2, nargs) < 0)
        return NULL;
    const double statistic = PyFloat_AsDouble(args[0]), share = PyFloat_AsDouble(args[1]);
    if (PyErr_Occurred())
        return NULL;
    return PyFloat_FromDouble(1.0 - pow(1.0 - null_p_value(&((Background *)object)->null, statistic), share));
}

static PyObject *Background_threshold(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    if (wants("threshold", 2, nargs) < 0)
        return NULL;
    const double p_value = PyFloat_AsDouble(args[0]), share = PyFloat_AsDouble(args[1]);
    if (PyErr_Occurred())
        return NULL;
    return PyFloat_FromDouble(null_threshold(&((Background *)object)->null, p_value / share));
}

static PyObject *Background_amplitude(PyObject *object, PyObject *swing)
{
    const double size = PyFloat_AsDouble(swing);
    if (PyErr_Occurred())
        return NULL;
    return PyFloat_FromDouble(sqrt(greater(size * size - ((Background *)object)->swing, 0.0)));
}

static PyObject *Background_reach(PyObject *object, PyObject *nothing)
{
    (void)nothing;
    return PyFloat_FromDouble(sqrt(((Background *)object)->swing) / 2.0);
}

static PyMethodDef background_methods[] = {
    {"reach", Background_reach, METH_NOARGS, "reach()\n\nSee ionm.detectors.background.Background.reach."},
    {"noise", Background_noise, METH_O, "noise(read)\n\nSee ionm.detectors.background.Background.noise."},
    {"chance", (PyCFunction)(void (*)(void))Background_chance, METH_FASTCALL,
     "chance(statistic, share)\n\nSee ionm.detectors.background.Background.chance."},
    {"threshold", (PyCFunction)(void (*)(void))Background_threshold, METH_FASTCALL,
     "threshold(p_value, share)\n\nSee ionm.detectors.background.Background.threshold."},
    {"amplitude", Background_amplitude, METH_O,
     "amplitude(swing)\n\nSee ionm.detectors.background.Background.amplitude."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot background_slots[] = {
    {Py_tp_doc, "Background()\n\nSee ionm.detectors.background.Background."},
    {Py_tp_new, (void *)Background_new},
    {Py_tp_dealloc, (void *)Background_dealloc},
    {Py_tp_methods, (void *)background_methods},
    {0, NULL},
};

static PyType_Spec background_spec = {
    .name = "ionm._kernels.Background",
    .basicsize = sizeof(Background),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = background_slots,
};

/* ---- ionm.detectors.template.Matcher ---- */

#define NU 15.0

typedef struct {
    PyObject_HEAD
    PyObject *found_type;
    Py_ssize_t order, n_nuisance, n_lags, length, start, step;
    double *whitener;  /* [1][order + 1] */
    double *nuisance;  /* [n_nuisance][length] */
    double *shapes;    /* [n_lags][length] */
    double *costs;     /* [1][n_lags] */
    double *piece;     /* [length] */
    double *values;    /* [n_lags] */
    double *white;     /* of the last trace, [capacity] */
    Py_ssize_t capacity;
} Matcher;

/* A vector of float64 into new memory; its length, or -1 with an exception. */
static Py_ssize_t copy_vector(PyObject *array, double **to)
{
    Py_buffer view;
    if (PyObject_GetBuffer(array, &view, PyBUF_RECORDS_RO) < 0)
        return -1;
    Py_ssize_t n = -1;
    if (view.ndim != 1 || view.shape[0] < 1 || strcmp(view.format, "d") != 0)
        PyErr_SetString(PyExc_ValueError, "need a vector of float64");
    else if ((*to = ALLOCATE(view.shape[0], double)) == NULL)
        PyErr_NoMemory();
    else if (PyBuffer_ToContiguous(*to, &view, view.len, 'C') == 0)
        n = view.shape[0];
    PyBuffer_Release(&view);
    return n;
}

static void Matcher_dealloc(PyObject *object)
{
    Matcher *self = (Matcher *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(self->found_type);
    PyMem_Free(self->whitener);
    PyMem_Free(self->nuisance);
    PyMem_Free(self->shapes);
    PyMem_Free(self->costs);
    PyMem_Free(self->piece);
    PyMem_Free(self->values);
    PyMem_Free(self->white);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(object);
    Py_DECREF(type);
}

static int fill_matcher(Matcher *self, PyObject *whitener, PyObject *nuisance, PyObject *shapes, PyObject *costs)
{
    Py_buffer view;
    if (PyObject_GetBuffer(shapes, &view, PyBUF_RECORDS_RO) < 0)
        return -1;
    self->length = view.ndim == 2 ? view.shape[1] : 0;
    PyBuffer_Release(&view);
    self->found_type = from_module("ionm.detectors.template", "Found");
    if (self->found_type == NULL)
        return -1;
    self->order = copy_vector(whitener, &self->whitener) - 1;
    if (self->order < 0)
        return -1;
    self->n_nuisance = copy_decays(nuisance, self->length, &self->nuisance);
    self->n_lags = self->n_nuisance < 0 ? -1 : copy_decays(shapes, self->length, &self->shapes);
    if (self->n_lags < 0)
        return -1;
    const Py_ssize_t n_costs = copy_vector(costs, &self->costs);
    if (n_costs < 0)
        return -1;
    if (self->length < 1 || n_costs != self->n_lags || self->start < 0 || self->step < 1) {
        PyErr_SetString(PyExc_ValueError, "need shapes of at least one bin, as many costs, start >= 0 and step >= 1");
        return -1;
    }
    self->piece = ALLOCATE(self->length, double);
    self->values = ALLOCATE(self->n_lags, double);
    if (self->piece == NULL || self->values == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static PyObject *Matcher_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *whitener, *nuisance, *shapes, *costs;
    Py_ssize_t start, step;
    if (kwargs && PyDict_Size(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Matcher takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "OOOOnn", &whitener, &nuisance, &shapes, &costs, &start, &step))
        return NULL;
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Matcher *self = (Matcher *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->start = start;
    self->step = step;
    if (fill_matcher(self, whitener, nuisance, shapes, costs) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* The whole trace through the whitener, into self->white; -1 with an exception. */
static int whiten(Matcher *self, const double *trace, Py_ssize_t n)
{
    if (n > self->capacity) {
        PyMem_Free(self->white);
        self->capacity = 0;
        self->white = ALLOCATE(n, double);
        if (self->white == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        self->capacity = n;
    }
    for (Py_ssize_t t = 0; t < n; t++)
        self->white[t] = self->whitener[0] * trace[t];
    for (Py_ssize_t delay = 1; delay <= self->order; delay++)
        for (Py_ssize_t t = delay; t < n; t++)
            self->white[t] += self->whitener[delay] * trace[t - delay];
    return 0;
}

/* One stretch without the nuisance: its energy; self->values hold its match at each lag. */
static double match(Matcher *self, Py_ssize_t start)
{
    const Py_ssize_t n = self->length;
    memcpy(self->piece, self->white + start, sizeof(double) * (size_t)n);
    for (Py_ssize_t k = 0; k < self->n_nuisance; k++) {
        const double *direction = self->nuisance + k * n;
        take_away(self->piece, total_product(self->piece, direction, n), direction, n);
    }
    for (Py_ssize_t l = 0; l < self->n_lags; l++)
        self->values[l] = total_product(self->piece, self->shapes + l * n, n);
    return total_product(self->piece, self->piece, n);
}

/* The best of some values after the lags' costs. */
static double best_of(const Matcher *self, const double *values, double noise, Py_ssize_t *at)
{
    double best = values[0] - self->costs[0] * noise;
    *at = 0;
    for (Py_ssize_t l = 1; l < self->n_lags; l++) {
        const double costed = values[l] - self->costs[l] * noise;
        if (costed > best) {
            best = costed;
            *at = l;
        }
    }
    return best;
}

static double statistic_of(double matched, double energy, double noise, Py_ssize_t length)
{
    const double rest = greater(energy - matched * matched, 0.0);
    const double level = (NU * noise * noise + rest) / (NU + (double)length);
    return level > 0.0 ? matched / sqrt(level) : 0.0;
}

/* The stretches of background from `begin` on, `count` of them: energies and values, then their matches. */
static PyObject *backgrounds_of(Matcher *self, Py_ssize_t begin, Py_ssize_t count, double past, double *variance)
{
    double *energies = ALLOCATE(count * (self->n_lags + 2) + 1, double);
    if (energies == NULL)
        return PyErr_NoMemory();
    double *values = energies + count, *matches = values + count * self->n_lags, sum = 0.0;
    for (Py_ssize_t i = 0; i < count; i++) {
        energies[i] = match(self, begin + i * self->step);
        memcpy(values + i * self->n_lags, self->values, sizeof(double) * (size_t)self->n_lags);
    }
    for (Py_ssize_t i = 0; i < count; i++)
        sum += energies[i];
    const double length = (double)self->length;
    *variance = count ? sum / (double)count / length : 0.0;
    for (Py_ssize_t i = 0; i < count; i++) {
        const double others = (sum - energies[i]) / (double)(count > 1 ? count - 1 : 1) / length;
        const double beside = sqrt(greater(past, others));
        Py_ssize_t at;
        const double best = best_of(self, values + i * self->n_lags, beside, &at);
        matches[i] = statistic_of(best, energies[i], beside, self->length);
    }
    PyObject *found = floats(matches, count);
    PyMem_Free(energies);
    return found;
}

PyDoc_STRVAR(match_doc, "read(values, background, past)\n\nSee ionm.detectors.template.Matcher.read.");

static PyObject *Matcher_read(PyObject *object, PyObject *const *args, Py_ssize_t nargs)
{
    Matcher *self = (Matcher *)object;
    Py_ssize_t first, stop, size;
    char *bytes;
    if (wants("read", 3, nargs) < 0 || PyBytes_AsStringAndSize(args[0], &bytes, &size) < 0
        || !PyArg_Parse(args[1], "(nn)", &first, &stop))
        return NULL;
    const double past = PyFloat_AsDouble(args[2]);
    const Py_ssize_t n = size / (Py_ssize_t)sizeof(double), length = self->length;
    if (PyErr_Occurred())
        return NULL;
    if (first < 0 || stop > n || self->start + length > n) {
        PyErr_SetString(PyExc_ValueError, "the trace does not fit the template");
        return NULL;
    }
    double *trace = ALLOCATE(n, double); /* bytes need not be aligned */
    if (trace == NULL)
        return PyErr_NoMemory();
    memcpy(trace, bytes, sizeof(double) * (size_t)n);
    const int failed = whiten(self, trace, n) < 0;
    PyMem_Free(trace);
    if (failed)
        return NULL;
    const Py_ssize_t begin = first > self->order ? first : self->order;
    const Py_ssize_t count = stop - length >= begin ? (stop - length - begin) / self->step + 1 : 0;
    double variance = 0.0;
    PyObject *matches = backgrounds_of(self, begin, count, past, &variance);
    if (matches == NULL)
        return NULL;
    const double noise = sqrt(count ? greater(past, variance) : past), energy = match(self, self->start);
    Py_ssize_t at;
    const double best = best_of(self, self->values, noise, &at);
    PyObject *values = floats(self->values, self->n_lags);
    PyObject *own = count ? PyFloat_FromDouble(variance) : Py_NewRef(Py_None), *fields = NULL;
    if (values && own)
        fields = Py_BuildValue("(dOOOndd)", noise, own, matches, values, at, energy > 0.0 ? best * best / energy : 0.0,
                               statistic_of(best, energy, noise, length));
    Py_DECREF(matches);
    Py_XDECREF(values);
    Py_XDECREF(own);
    return named(self->found_type, fields);
}

static PyMethodDef matcher_methods[] = {
    {"read", (PyCFunction)(void (*)(void))Matcher_read, METH_FASTCALL, match_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(matcher_doc,
             "Matcher(whitener, nuisance, shapes, costs, start, step)\n\nSee ionm.detectors.template.Matcher.");

static PyType_Slot matcher_slots[] = {
    {Py_tp_doc, (void *)matcher_doc},
    {Py_tp_new, (void *)Matcher_new},
    {Py_tp_dealloc, (void *)Matcher_dealloc},
    {Py_tp_methods, (void *)matcher_methods},
    {0, NULL},
};

static PyType_Spec matcher_spec = {
    .name = "ionm._kernels.Matcher",
    .basicsize = sizeof(Matcher),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = matcher_slots,
};

PyDoc_STRVAR(eliminate_doc, "eliminate(work)\n\nSee ionm.detectors.learning.eliminate.");

static PyObject *eliminate(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    Py_buffer view;
    (void)module;
    if (wants("eliminate", 1, nargs) < 0 || PyObject_GetBuffer(args[0], &view, PyBUF_RECORDS) < 0)
        return NULL;
    const Py_ssize_t n = view.ndim == 2 ? view.shape[0] : 0, m = view.ndim == 2 ? view.shape[1] : 0;
    if (n < 1 || m < n || strcmp(view.format, "d") != 0 || !PyBuffer_IsContiguous(&view, 'C')) {
        PyBuffer_Release(&view);
        PyErr_SetString(PyExc_ValueError, "need contiguous rows of float64, at least as many columns as rows");
        return NULL;
    }
    double *work = view.buf;
    for (Py_ssize_t k = 0; k < n; k++) {
        const double *pivot = work + k * m;
        for (Py_ssize_t i = k + 1; i < n; i++) {
            double *row = work + i * m;
            take_away(row + k + 1, row[k] / pivot[k], pivot + k + 1, m - k - 1);
        }
    }
    for (Py_ssize_t k = n - 1; k >= 0; k--) {
        double *row = work + k * m;
        for (Py_ssize_t j = n; j < m; j++)
            row[j] /= row[k];
        for (Py_ssize_t i = 0; i < k; i++)
            take_away(work + i * m + n, work[i * m + k], row + n, m - n);
    }
    PyBuffer_Release(&view);
    Py_RETURN_NONE;
}

/* What ionm/filters/mains.py and canceller.py define, in their order of operations; the constants bear their names. */

#define PI 3.141592653589793
#define TURN (2.0 * PI)
#define OFFSET 0.25
#define SLOPE 0.005
#define JERK 3e-6
#define SURPRISE 16.0
#define WRAP (1.0 / 64.0)
#define WANDER 5e-4
#define FIRST 8
#define LOCK 0.05
#define SHORT 4.0
#define ON 25.0
#define OFF 8.0
#define EARLY 16
#define OUTLIER 9.0
#define LEEWAY 400.0
#define CHANGE 20.0
#define LAST 32.0
#define RECENT 8.0
#define LONG_MEMORY 64.0 /* LONG */
#define FALL 2.5
#define RISE 1.5
#define FLOOR 1e-24
#define EULER 0.5772156649015329
#define SMALLEST 1e-300 /* TINY */
#define FARTHEST 1.0
#define LOST 0.05
#define PATIENCE 2.0
#define STALE 10.0
#define MAX_HARMONICS 32
#define MAX_GRIDS 4
#define LARGEST 1e100 /* of ionm/filters/sos.py */

/* mains.Clock */
typedef struct {
    double frequency, phase, slope;
    double p11, p12, p13, p22, p23, p33;
    double last;
    int64_t surprises;
} mains_clock;

static mains_clock fresh_clock(double frequency)
{
    return (mains_clock){.frequency = frequency, .p11 = 1e-12, .p22 = OFFSET * OFFSET, .p33 = SLOPE * SLOPE};
}

static void clock_advance(mains_clock *k, double dt)
{
    k->phase += k->frequency * dt + 0.5 * k->slope * dt * dt;
    k->phase -= floor(k->phase);
    k->frequency += k->slope * dt;
}

static void clock_forget(mains_clock *k, double dt)
{
    const double square = dt * dt, cube = square * dt;
    k->p11 = k->p11 + 2.0 * dt * k->p12 + square * (k->p13 + k->p22) + cube * k->p23 + 0.25 * square * square * k->p33
             + JERK * square * cube / 20.0;
    k->p12 = k->p12 + dt * (k->p22 + k->p13) + 1.5 * square * k->p23 + 0.5 * cube * k->p33 + JERK * square * square / 8.0;
    k->p13 = k->p13 + dt * k->p23 + 0.5 * square * k->p33 + JERK * cube / 6.0;
    k->p22 = k->p22 + 2.0 * dt * k->p23 + square * k->p33 + JERK * cube / 3.0;
    k->p23 = k->p23 + dt * k->p33 + 0.5 * JERK * square;
    k->p33 = k->p33 + JERK * dt;
}

static double clock_prior(const mains_clock *k, double age)
{
    const double a = -age, b = 0.5 * age * age;
    return k->p11 + 2.0 * a * k->p12 + 2.0 * b * k->p13 + a * a * k->p22 + 2.0 * a * b * k->p23 + b * b * k->p33;
}

static void clock_correct(mains_clock *k, double error, double variance, double age, double dt, double *moved,
                          double *turned)
{
    const double a = -age, b = 0.5 * age * age;
    double total = clock_prior(k, age) + variance;
    if (error * error > SURPRISE * total) {
        k->surprises = k->surprises && error * k->last > 0.0 ? k->surprises + 1 : 1;
        if (k->surprises == 1)
            error = copysign(sqrt(SURPRISE * total), error);
        else {
            k->p11 += error * error;
            if (k->surprises > 2)
                k->p22 += (error / dt) * (error / dt);
        }
    }
    else
        k->surprises = 0;
    const double g1 = k->p11 + a * k->p12 + b * k->p13;
    const double g2 = k->p12 + a * k->p22 + b * k->p23;
    const double g3 = k->p13 + a * k->p23 + b * k->p33;
    total = g1 + a * g2 + b * g3 + variance;
    const double k1 = g1 / total, k2 = g2 / total, k3 = g3 / total;
    k->phase += k1 * error;
    k->frequency += k2 * error;
    k->slope += k3 * error;
    k->p11 -= k1 * g1;
    k->p12 -= k1 * g2;
    k->p13 -= k1 * g3;
    k->p22 -= k2 * g2;
    k->p23 -= k2 * g3;
    k->p33 -= k3 * g3;
    k->last = error;
    *moved = k1 * error;
    *turned = error * (total - variance) / total;
}

/* One channel at one harmonic: mains.Hum, mains.Noise and mains.Sight. */
typedef struct {
    double real, imag, variance, drift_real, drift_imag;
    double last_real, last_imag, recent, lasting, noise;
    double seen_real, seen_imag;
} component;

typedef struct {
    PyObject_HEAD
    Py_ssize_t n_channels, n_harmonics;
    Py_ssize_t tile; /* samples */
    double fs, dt;   /* dt: of a tile, in s */
    double frequencies[MAX_GRIDS];
    Py_ssize_t n_frequencies, candidate;
    int64_t freeze;
    int64_t next;     /* index of the sample that continues the stream */
    int64_t position; /* samples since the stream began */
    int64_t frozen;   /* until this position */
    Py_ssize_t filled, window, period, length, age;
    double idle;
    int stimulated, locked, busy;
    path_type path;
    mains_clock clock;
    component *parts;      /* [channel][harmonic] */
    unsigned char *taken;  /* [channel][harmonic] */
    double *real, *imag;   /* [channel][harmonic], what is taken */
    int64_t *count, *seen; /* [channel] */
    unsigned char *spoilt, *active, *sound; /* [channel] */
    double *held;          /* [channel] */
    double *leak;          /* [channel] */
    double *buffer, *hum;  /* [channel][tile] */
    double *cosines, *sines; /* [harmonic][tile] */
    double *sums;          /* [channel + 1][1 + 2 n_harmonics][HUM_LANES] */
    double weight[HUM_TILE], ones[HUM_TILE];
} Canceller;

static void canceller_search(Canceller *self)
{
    const Py_ssize_t n = self->n_channels * self->n_harmonics;
    self->clock = fresh_clock(self->frequencies[self->candidate]);
    for (Py_ssize_t i = 0; i < n; i++) {
        component *p = &self->parts[i];
        p->real = p->imag = p->variance = p->drift_real = p->drift_imag = 0.0;
    }
    memset(self->taken, 0, (size_t)n);
    memset(self->count, 0, sizeof(int64_t) * (size_t)self->n_channels);
    self->locked = 0;
    self->age = 0;
    self->idle = 0.0;
}

static void canceller_foretell(Canceller *self)
{
    const mains_clock *k = &self->clock;
    const Py_ssize_t n = self->tile;
    const double turns = (k->frequency + 0.5 * k->slope * self->dt) / self->fs;
    double *cosines = self->cosines, *sines = self->sines;
    double c = cos(TURN * turns), s = sin(TURN * turns);
    cosines[0] = cos(TURN * k->phase);
    sines[0] = sin(TURN * k->phase);
    for (Py_ssize_t done = 1; done < n; done *= 2) {
        for (Py_ssize_t t = 0; t < done; t++) {
            cosines[done + t] = cosines[t] * c - sines[t] * s;
            sines[done + t] = cosines[t] * s + sines[t] * c;
        }
        const double squared = c * c - s * s;
        s = c * s + s * c;
        c = squared;
    }
    for (Py_ssize_t i = 1; i < self->n_harmonics; i++) {
        const double *c0 = cosines + (i - 1) * n, *s0 = sines + (i - 1) * n;
        double *c1 = cosines + i * n, *s1 = sines + i * n;
        for (Py_ssize_t t = 0; t < n; t++) {
            c1[t] = c0[t] * cosines[t] - s0[t] * sines[t];
            s1[t] = c0[t] * sines[t] + s0[t] * cosines[t];
        }
    }
    for (Py_ssize_t channel = 0; channel < self->n_channels; channel++) {
        const Py_ssize_t at = channel * self->n_harmonics;
        self->active[channel] = memchr(self->taken + at, 1, (size_t)self->n_harmonics) != NULL;
        for (Py_ssize_t i = 0; i < self->n_harmonics; i++) {
            self->real[at + i] = self->taken[at + i] ? self->parts[at + i].real : 0.0;
            self->imag[at + i] = self->taken[at + i] ? self->parts[at + i].imag : 0.0;
        }
        if (self->active[channel])
            foretellers[self->path.lanes](self->real + at, self->imag + at, self->taken + at, self->n_harmonics, cosines,
                                          sines, n, self->hum + channel * n);
    }
}

static void canceller_reset(Canceller *self)
{
    const Py_ssize_t n = self->n_channels * self->n_harmonics;
    self->position = self->frozen = 0;
    self->filled = 0;
    self->window = -1;
    self->stimulated = 0;
    self->candidate = 0;
    memset(self->held, 0, sizeof(double) * (size_t)self->n_channels);
    memset(self->spoilt, 0, (size_t)self->n_channels);
    memset(self->seen, 0, sizeof(int64_t) * (size_t)self->n_channels);
    memset(self->parts, 0, sizeof(component) * (size_t)n);
    for (Py_ssize_t i = 0; i < n; i++)
        self->parts[i].noise = 1.0;
    canceller_search(self);
    canceller_foretell(self);
}

static void canceller_correlate(Canceller *self)
{
    const Py_ssize_t n = self->tile, size = (1 + 2 * self->n_harmonics) * HUM_LANES;
    if (self->window < 0) {
        self->window = 0;
        self->period = (Py_ssize_t)floor(self->fs / self->clock.frequency + 0.5);
        self->length = (2 * self->period - 1 + n - 1) / n;
        memset(self->sums, 0, sizeof(double) * (size_t)((self->n_channels + 1) * size));
    }
    for (Py_ssize_t t = 0; t < n; t++) {
        const double j = (double)(self->window * n + t);
        self->weight[t] = greater(lesser(j + 1.0, 2.0 * (double)self->period - 1.0 - j), 0.0);
    }
    for (Py_ssize_t row = 0; row <= self->n_channels; row++)
        correlators[self->path.lanes](row < self->n_channels ? self->buffer + row * n : self->ones, self->weight,
                                      self->n_harmonics, self->cosines, self->sines, n, self->sums + row * size);
    self->window++;
}

static double sum_of_lanes(const double *lanes)
{
    double sum = lanes[0];
    for (int k = 1; k < HUM_LANES; k++)
        sum += lanes[k];
    return sum;
}

static inline double size_of(const component *p)
{
    return p->real * p->real + p->imag * p->imag;
}

/* mains.Hum.phase; what a harmonic says is summed over the channels first. */
static double canceller_phase(const Canceller *self, double prior, double *information)
{
    double x[MAX_HARMONICS] = {0.0}, y[MAX_HARMONICS] = {0.0}, w[MAX_HARMONICS] = {0.0};
    for (Py_ssize_t channel = 0; channel < self->n_channels; channel++) {
        if (self->spoilt[channel] || self->count[channel] < 2)
            continue;
        const double leak = self->leak[channel];
        for (Py_ssize_t i = 0; i < self->n_harmonics; i++) {
            const component *p = &self->parts[channel * self->n_harmonics + i];
            const double size = size_of(p), variance = p->variance + leak;
            if (size > 4.0 * variance) {
                const double a = p->seen_real - p->real, b = p->seen_imag - p->imag;
                const double spread = greater(p->noise, (a * a + b * b) / OUTLIER) + leak + variance;
                const double share = (1.0 - 4.0 * variance / greater(size, SMALLEST)) / spread;
                x[i] += share * (p->real * p->seen_real + p->imag * p->seen_imag);
                y[i] += share * (p->real * p->seen_imag - p->imag * p->seen_real);
                w[i] += share * size;
            }
        }
    }
    double error = 0.0, known = 0.0;
    for (Py_ssize_t i = 0; i < self->n_harmonics; i++) {
        const double order = (double)(i + 1);
        if (w[i] > 0.0 && order * order * prior < WRAP * (1.0 + prior * known)) {
            double turn = atan2(y[i], x[i]) / (TURN * order);
            if (known > 0.0)
                turn += floor((error - turn) * order + 0.5) / order;
            const double more = 2.0 * w[i] * (TURN * order) * (TURN * order);
            known += more;
            error += more * (turn - error) / known;
        }
    }
    *information = known;
    return error;
}

/* cos and sin of `turns` times each harmonic */
static void turns_of(double turns, Py_ssize_t n_harmonics, double *a, double *b)
{
    const double c = cos(TURN * turns), s = sin(TURN * turns);
    a[0] = c;
    b[0] = s;
    for (Py_ssize_t i = 1; i < n_harmonics; i++) {
        a[i] = a[i - 1] * c - b[i - 1] * s;
        b[i] = a[i - 1] * s + b[i - 1] * c;
    }
}

/* mains.Noise.follow, of one channel */
static void channel_noise(Canceller *self, Py_ssize_t channel, const double *a, const double *b)
{
    component *parts = self->parts + channel * self->n_harmonics;
    const int64_t seen = ++self->seen[channel];
    if (seen >= 2) {
        const double windows = (double)(seen - 1);
        double mean = 0.0;
        for (Py_ssize_t i = 0; i < self->n_harmonics; i++) {
            component *p = &parts[i];
            const double x = p->seen_real - p->last_real, y = p->seen_imag - p->last_imag;
            const double size = log((x * x + y * y) / 2.0 + FLOOR) + EULER;
            p->recent = p->recent + (size - p->recent) / lesser(windows, RECENT);
            p->lasting = p->lasting + (size - p->lasting) / lesser(windows, LONG_MEMORY);
            if (p->lasting - p->recent > FALL || p->recent - p->lasting > RISE)
                p->lasting = p->recent;
            mean = mean + p->lasting;
        }
        mean = mean / (double)self->n_harmonics;
        for (Py_ssize_t i = 0; i < self->n_harmonics; i++)
            parts[i].noise = exp(seen < EARLY ? greater(parts[i].lasting, mean) : parts[i].lasting);
    }
    for (Py_ssize_t i = 0; i < self->n_harmonics; i++) {
        component *p = &parts[i];
        p->last_real = p->seen_real * a[i] + p->seen_imag * b[i];
        p->last_imag = p->seen_imag * a[i] - p->seen_real * b[i];
    }
}

/* mains.Hum.correct, of one amplitude */
static void believe(const Canceller *self, component *p, double seen_real, double seen_imag, int64_t count, double dt)
{
    const double x = seen_real - p->real, y = seen_imag - p->imag;
    const double distance = x * x + y * y, grown = p->variance + WANDER * WANDER * dt * size_of(p);
    const double spread = greater(p->noise, distance / OUTLIER);
    double gain, left;
    if (self->locked && count > FIRST) {
        const double clip = lesser(1.0, sqrt((OUTLIER * p->noise + LEEWAY * grown) / greater(distance, SMALLEST)));
        p->drift_real = p->drift_real + (clip * x - p->drift_real) / LAST;
        p->drift_imag = p->drift_imag + (clip * y - p->drift_imag) / LAST;
        const double limit = CHANGE * (p->noise / (2.0 * LAST - 1.0) + grown);
        if (p->drift_real * p->drift_real + p->drift_imag * p->drift_imag > limit) {
            p->drift_real = p->drift_imag = 0.0;
            gain = 1.0;
            left = spread;
        }
        else {
            gain = grown / (grown + spread);
            left = (1.0 - gain) * grown;
        }
    }
    else {
        const double windows = (double)count;
        p->drift_real = p->drift_imag = 0.0;
        gain = 1.0 / (self->locked ? windows : lesser(windows, SHORT));
        left = count == 1 ? distance : spread * gain;
    }
    p->real = p->real + gain * x;
    p->imag = p->imag + gain * y;
    p->variance = left;
}

/* Whether a harmonic tells which of several grids it is of. */
static int telling(const Canceller *self, Py_ssize_t harmonic)
{
    return self->n_frequencies == 1 || fmod((double)(harmonic + 1) * self->frequencies[self->candidate], 300.0) != 0.0;
}

static void canceller_learn(Canceller *self)
{
    const Py_ssize_t n_harmonics = self->n_harmonics, size = (1 + 2 * n_harmonics) * HUM_LANES;
    const double area = (double)self->period * (double)self->period;
    const double *of_level = self->sums + self->n_channels * size;
    double cosines[MAX_HARMONICS], sines[MAX_HARMONICS];
    for (Py_ssize_t i = 0; i < n_harmonics; i++) {
        cosines[i] = sum_of_lanes(of_level + (1 + 2 * i) * HUM_LANES);
        sines[i] = sum_of_lanes(of_level + (2 + 2 * i) * HUM_LANES);
    }
    mains_clock *k = &self->clock;
    const double detuned = 9.0 * k->p22 / (k->frequency * k->frequency);
    for (Py_ssize_t channel = 0; channel < self->n_channels; channel++) {
        const double *sums = self->sums + channel * size;
        const double level = sum_of_lanes(sums) / area;
        double total = 0.0;
        for (Py_ssize_t i = 0; i < n_harmonics; i++) {
            const Py_ssize_t at = channel * n_harmonics + i;
            component *p = &self->parts[at];
            p->seen_real = 2.0 * (sum_of_lanes(sums + (1 + 2 * i) * HUM_LANES) - level * cosines[i]) / area + self->real[at];
            p->seen_imag = -2.0 * (sum_of_lanes(sums + (2 + 2 * i) * HUM_LANES) - level * sines[i]) / area + self->imag[at];
            total = total + size_of(p);
        }
        self->leak[channel] = detuned * detuned * total;
    }
    const double dt = (double)self->age * self->dt;
    const double age = (double)(self->length * self->tile - (self->period - 1)) / self->fs;
    self->age = 0;

    clock_forget(k, dt);
    double information, moved = 0.0, turned = 0.0;
    const double error = canceller_phase(self, clock_prior(k, age), &information);
    if (information > 0.0)
        clock_correct(k, error, 1.0 / information + 1e-13, age, dt, &moved, &turned);

    double moved_cos[MAX_HARMONICS], moved_sin[MAX_HARMONICS], a[MAX_HARMONICS], b[MAX_HARMONICS];
    turns_of(moved, n_harmonics, moved_cos, moved_sin);
    turns_of(turned, n_harmonics, a, b);
    int64_t most = 0;
    int there = 0;
    for (Py_ssize_t channel = 0; channel < self->n_channels; channel++) {
        const int ok = !self->spoilt[channel];
        if (ok) {
            channel_noise(self, channel, moved_cos, moved_sin);
            self->count[channel]++;
        }
        const int64_t count = self->count[channel];
        const double known = (double)(self->seen[channel] > 1 ? self->seen[channel] : 1), least = ON * (1.0 + EARLY / known);
        most = count > most ? count : most;
        for (Py_ssize_t i = 0; i < n_harmonics; i++) {
            const Py_ssize_t at = channel * n_harmonics + i;
            component *p = &self->parts[at];
            if (ok)
                believe(self, p, p->seen_real * a[i] + p->seen_imag * b[i], p->seen_imag * a[i] - p->seen_real * b[i], count,
                        dt);
            else
                p->variance = p->variance + WANDER * WANDER * dt * size_of(p);
            const double limit = (self->taken[at] ? OFF : least) * (p->variance + self->leak[channel]);
            self->taken[at] = count >= FIRST && size_of(p) > limit;
            there |= self->taken[at] && telling(self, i);
        }
    }
    if (!self->locked && k->p22 < LOCK * LOCK && most >= FIRST)
        self->locked = 1;
    self->idle = there ? 0.0 : self->idle + dt;
    if (fabs(k->frequency - self->frequencies[self->candidate]) > FARTHEST || k->p11 > LOST * LOST
        || self->idle > PATIENCE) {
        self->candidate = (self->candidate + 1) % self->n_frequencies;
        canceller_search(self);
    }
}

static void canceller_finish(Canceller *self)
{
    self->age++;
    if (self->stimulated || (self->window < 0 && self->position - self->tile < self->frozen))
        self->window = -1;
    else
        canceller_correlate(self);
    self->stimulated = 0;
    clock_advance(&self->clock, self->dt);
    if (self->window > 0 && self->window == self->length) {
        canceller_learn(self);
        self->window = -1;
    }
    else if ((double)self->age * self->dt > STALE)
        canceller_search(self);
    if (self->window < 0)
        memset(self->spoilt, 0, (size_t)self->n_channels);
    canceller_foretell(self);
}

/* Samples [begin, begin + n) of a push, all within one tile. */
static void canceller_pass(Canceller *self, const rows *r, Py_ssize_t begin, Py_ssize_t n)
{
    const int64_t largest = magnitude_bits(LARGEST);
    for (Py_ssize_t channel = 0; channel < self->n_channels; channel++) {
        const double *x = r->x + channel * r->x_stride + begin, *hum = self->hum + channel * self->tile + self->filled;
        double *y = r->y + channel * r->n + begin, *kept = self->buffer + channel * self->tile + self->filled;
        if (self->sound[channel]) {
            if (self->active[channel])
                for (Py_ssize_t t = 0; t < n; t++)
                    y[t] = x[t] - hum[t];
            else
                memcpy(y, x, sizeof(double) * (size_t)n);
        }
        else {
            const unsigned char *valid = r->valid + channel * r->valid_stride + begin;
            for (Py_ssize_t t = 0; t < n; t++) {
                const int ok = valid[t] && magnitude_bits(x[t]) <= largest;
                if (ok)
                    self->held[channel] = self->active[channel] ? x[t] - hum[t] : x[t];
                else
                    self->spoilt[channel] = 1;
                y[t] = self->held[channel];
                r->flags[channel * r->n + begin + t] = (unsigned char)ok;
            }
        }
        memcpy(kept, y, sizeof(double) * (size_t)n);
        self->held[channel] = y[n - 1];
    }
}

static void canceller_run(Canceller *self, const rows *r, const int64_t *stimuli, Py_ssize_t n_stimuli, int64_t start)
{
    if (start != self->next)
        canceller_reset(self);
    const int64_t origin = start - self->position;
    self->next = start + r->n;
    for (Py_ssize_t begin = 0, waiting = 0; begin < r->n;) {
        const Py_ssize_t room = self->tile - self->filled, n = r->n - begin < room ? r->n - begin : room;
        canceller_pass(self, r, begin, n);
        self->filled += n;
        self->position += n;
        begin += n;
        for (; waiting < n_stimuli && stimuli[waiting] - origin < self->position; waiting++) {
            const int64_t until = stimuli[waiting] - origin + self->freeze;
            self->stimulated = 1;
            self->frozen = until > self->frozen ? until : self->frozen;
        }
        if (self->filled == self->tile) {
            canceller_finish(self);
            self->filled = 0;
        }
    }
}

/* Everything that can fail comes before the state is touched. */
static PyObject *canceller_push(Canceller *self, passage *p, PyObject *chunk, PyObject *stimuli)
{
    p->start = PyObject_GetAttr(chunk, py.start);
    if (p->start == NULL || take(p, 0, chunk, py.data, 'd', "float64", self->n_channels, -1) < 0)
        return NULL;
    const Py_ssize_t n = p->views[0].shape[1], n_stimuli = PyTuple_Size(stimuli);
    if (n_stimuli < 0 || take(p, 1, chunk, py.valid, '?', "bool", self->n_channels, n) < 0)
        return NULL;
    rows r = {p->views[0].buf, p->views[1].buf, make(p, 2, NULL), NULL, n,
              p->views[0].strides[0] / (Py_ssize_t)sizeof(double), p->views[1].strides[0]};
    const long long start = PyLong_AsLongLong(p->start);
    if (r.y == NULL || (start == -1 && PyErr_Occurred()))
        return NULL;
    const Py_ssize_t total = n * self->n_channels;
    if (total == 0)
        return leave(p, chunk);
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a canceller takes one push at a time");
        return NULL;
    }
    const int64_t largest = magnitude_bits(LARGEST);
    int all = r.x_stride == n && r.valid_stride == n && !memchr(r.valid, 0, (size_t)total)
              && self->path.sound(r.x, total, largest);
    memset(self->sound, 1, (size_t)self->n_channels);
    if (!all) {
        all = 1;
        for (Py_ssize_t c = 0; c < self->n_channels; c++) {
            self->sound[c] = !memchr(r.valid + c * r.valid_stride, 0, (size_t)n)
                             && self->path.sound(r.x + c * r.x_stride, n, largest);
            all &= self->sound[c];
        }
    }
    if (!all) {
        r.flags = make(p, 3, py.bool_type);
        if (r.flags == NULL)
            return NULL;
        memset(r.flags, 1, (size_t)total);
    }
    int64_t few[16], *samples = few;
    if (n_stimuli > 16 && (samples = ALLOCATE(n_stimuli, int64_t)) == NULL)
        return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < n_stimuli; i++)
        samples[i] = PyLong_AsLongLong(PyTuple_GetItem(stimuli, i));
    PyObject *result = PyErr_Occurred() ? NULL : leave(p, chunk);
    if (result && total > GIL_THRESHOLD) {
        self->busy = 1;
        Py_BEGIN_ALLOW_THREADS
        canceller_run(self, &r, samples, n_stimuli, start);
        Py_END_ALLOW_THREADS
        self->busy = 0;
    }
    else if (result)
        canceller_run(self, &r, samples, n_stimuli, start);
    if (samples != few)
        PyMem_Free(samples);
    return result;
}

static PyObject *Canceller_push(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (wants("push", 2, nargs) < 0)
        return NULL;
    if ((PyObject *)Py_TYPE(args[0]) != py.chunk_type) {
        PyErr_Format(PyExc_TypeError, "expected a Chunk, got %R", (PyObject *)Py_TYPE(args[0]));
        return NULL;
    }
    passage p = {0};
    PyObject *result = canceller_push((Canceller *)self, &p, args[0], args[1]);
    release(&p);
    return result;
}

static PyObject *Canceller_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    const char *frequencies, *path;
    Py_ssize_t n_channels, size, n_harmonics, tile;
    double fs;
    long long freeze;
    if (kwargs && PyDict_Size(kwargs)) {
        PyErr_SetString(PyExc_TypeError, "Canceller takes no keywords");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "ndy#nLns", &n_channels, &fs, &frequencies, &size, &n_harmonics, &freeze, &tile, &path))
        return NULL;
    const Py_ssize_t n_frequencies = size / (Py_ssize_t)sizeof(double);
    if (n_channels < 0 || n_channels > INT32_MAX || !(fs > 0.0) || n_frequencies < 1 || n_frequencies > MAX_GRIDS
        || size != n_frequencies * (Py_ssize_t)sizeof(double) || n_harmonics < 1 || n_harmonics > MAX_HARMONICS || freeze < 0
        || (tile != 8 && tile != 16 && tile != 32)) {
        PyErr_SetString(PyExc_ValueError, "sizes of a canceller do not fit together");
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Canceller *self = (Canceller *)alloc(type, 0);
    if (self == NULL)
        return NULL;
    if (choose(&self->path, path) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    const Py_ssize_t n = n_channels * n_harmonics;
    self->n_channels = n_channels;
    self->n_harmonics = n_harmonics;
    self->tile = tile;
    self->fs = fs;
    self->dt = (double)tile / fs;
    memcpy(self->frequencies, frequencies, (size_t)size);
    self->n_frequencies = n_frequencies;
    self->freeze = freeze;
    self->next = -1;
    self->parts = ALLOCATE(n, component);
    self->taken = ALLOCATE(n, unsigned char);
    self->real = ALLOCATE(n, double);
    self->imag = ALLOCATE(n, double);
    self->count = ALLOCATE(n_channels, int64_t);
    self->seen = ALLOCATE(n_channels, int64_t);
    self->spoilt = ALLOCATE(n_channels, unsigned char);
    self->active = ALLOCATE(n_channels, unsigned char);
    self->sound = ALLOCATE(n_channels, unsigned char);
    self->held = ALLOCATE(n_channels, double);
    self->leak = ALLOCATE(n_channels, double);
    self->buffer = ALLOCATE(n_channels * tile, double);
    self->hum = ALLOCATE(n_channels * tile, double);
    self->cosines = ALLOCATE(n_harmonics * tile, double);
    self->sines = ALLOCATE(n_harmonics * tile, double);
    self->sums = ALLOCATE((n_channels + 1) * (1 + 2 * n_harmonics) * HUM_LANES, double);
    if (!self->parts || !self->taken || !self->real || !self->imag || !self->count || !self->seen || !self->spoilt
        || !self->active || !self->sound || !self->held || !self->leak || !self->buffer || !self->hum || !self->cosines
        || !self->sines || !self->sums) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    for (Py_ssize_t t = 0; t < tile; t++)
        self->ones[t] = 1.0;
    canceller_reset(self);
    return (PyObject *)self;
}

static void Canceller_dealloc(PyObject *object)
{
    Canceller *self = (Canceller *)object;
    PyTypeObject *type = Py_TYPE(object);
    void *const owned[] = {self->parts, self->taken, self->real, self->imag, self->count, self->seen, self->spoilt,
                           self->active, self->sound, self->held, self->leak, self->buffer, self->hum, self->cosines,
                           self->sines, self->sums};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++)
        PyMem_Free(owned[i]);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

static PyMethodDef canceller_methods[] = {
    {"push", (PyCFunction)(void (*)(void))Canceller_push, METH_FASTCALL,
     "push(chunk, stimuli)\n\nSee ionm.filters.canceller.Canceller.push."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot canceller_slots[] = {
    {Py_tp_doc, "Canceller(n_channels, fs, frequencies, n_harmonics, freeze, tile, path)\n\n"
                "See ionm.filters.canceller.Canceller; frequencies are the bytes of a float64 array."},
    {Py_tp_new, (void *)Canceller_new},
    {Py_tp_dealloc, (void *)Canceller_dealloc},
    {Py_tp_methods, (void *)canceller_methods},
    {0, NULL},
};

static PyType_Spec canceller_spec = {
    .name = "ionm._kernels.Canceller",
    .basicsize = sizeof(Canceller),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = canceller_slots,
};

static PyObject *path_names(void)
{
    path_type paths[4];
    const int n = available(paths);
    PyObject *names = PyTuple_New(n);
    for (int i = 0; names && i < n; i++)
        PyTuple_SetItem(names, i, PyUnicode_FromString(paths[i].name));
    return names;
}

static PyMethodDef module_methods[] = {
    {"whole", (PyCFunction)(void (*)(void))whole, METH_FASTCALL, whole_doc},
    {"extent", (PyCFunction)(void (*)(void))extent, METH_FASTCALL, extent_doc},
    {"eliminate", (PyCFunction)(void (*)(void))eliminate, METH_FASTCALL, eliminate_doc},
    {NULL, NULL, 0, NULL},
};

/* Make a type and add it under a name; -1 with an exception. */
static int add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    const int failed = PyModule_AddObjectRef(module, name, type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static struct PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_kernels",
    .m_doc = "The compiled forms of ionm's inner loops; ionm.compiled chooses between them and Python's.",
    .m_size = -1,
    .m_methods = module_methods,
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
    PyObject *names = path_names(), *module = NULL;
    if (!PyErr_Occurred())
        module = PyModule_Create(&module_definition);
    if (module
        && (PyModule_AddObjectRef(module, "PATHS", names) < 0 || add_type(module, "Cascade", &cascade_spec) < 0
            || add_type(module, "Swings", &swings_spec) < 0 || add_type(module, "Course", &course_spec) < 0
            || add_type(module, "NullTail", &null_tail_spec) < 0
            || add_type(module, "Canceller", &canceller_spec) < 0
            || add_type(module, "Background", &background_spec) < 0
            || add_type(module, "Matcher", &matcher_spec) < 0)) {
        Py_DECREF(module);
        module = NULL;
    }
    Py_XDECREF(names);
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

/* A vector of two halves from anywhere in arrays. They come together while they are loaded, which spares a step of
 * the transposition, and a half crosses a line of the cache half as often. */
#define LIST(...) __VA_ARGS__
#if LANES == 2
#define PAIR(a, b) ((VEC){*(a), *(b)})
#elif LANES > 2
typedef double NAME(half) __attribute__((vector_size(4 * LANES), aligned(8), may_alias));
#if LANES == 4
#define WHOLE LIST(0, 1, 2, 3)
#else
#define WHOLE LIST(0, 1, 2, 3, 4, 5, 6, 7)
#endif
#define PAIR(a, b) __builtin_shufflevector(*(const NAME(half) *)(a), *(const NAME(half) *)(b), WHOLE)
#endif

/* Transpose LANES vectors whose halves have changed places already: exchange ever larger blocks between rows i and
 * j = i + step. */
#define EXCHANGE(i, j, even, odd)                         \
    {                                                     \
        const VEC kept = r[i];                            \
        r[i] = __builtin_shufflevector(kept, r[j], even); \
        r[j] = __builtin_shufflevector(kept, r[j], odd);  \
    }
#if LANES == 2
#define TRANSPOSE(r)
#elif LANES == 4
#define STEP1(i, j) EXCHANGE(i, j, LIST(0, 4, 2, 6), LIST(1, 5, 3, 7))
#define TRANSPOSE(r) STEP1(0, 1) STEP1(2, 3)
#elif LANES == 8
#define STEP1(i, j) EXCHANGE(i, j, LIST(0, 8, 2, 10, 4, 12, 6, 14), LIST(1, 9, 3, 11, 5, 13, 7, 15))
#define STEP2(i, j) EXCHANGE(i, j, LIST(0, 1, 8, 9, 4, 5, 12, 13), LIST(2, 3, 10, 11, 6, 7, 14, 15))
#define TRANSPOSE(r)                                \
    STEP1(0, 1) STEP1(2, 3) STEP1(4, 5) STEP1(6, 7) \
    STEP2(0, 2) STEP2(1, 3) STEP2(4, 6) STEP2(5, 7)
#endif

/* Rows to tile: one vector per sample. The last square overlaps the one before it. */
TARGET static void NAME(gather)(const double *const *in, VEC *tile, Py_ssize_t n)
{
#if LANES > 1
    for (Py_ssize_t done = 0; n >= LANES && done < n; done += LANES) {
        const Py_ssize_t t = done < n - LANES ? done : n - LANES;
        VEC r[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            const double *near = in[i] + t, *far = in[i + LANES / 2] + t;
            r[i] = PAIR(near, far);
            r[i + LANES / 2] = PAIR(near + LANES / 2, far + LANES / 2);
        }
        TRANSPOSE(r)
        for (int i = 0; i < LANES; i++)
            tile[t + i] = r[i];
    }
    if (n >= LANES)
        return;
#endif
    for (Py_ssize_t t = 0; t < n; t++)
        for (int lane = 0; lane < LANES; lane++)
            ((double *)(tile + t))[lane] = in[lane][t];
}

/* Tile to rows. */
TARGET static void NAME(scatter)(const VEC *tile, double *const *out, Py_ssize_t n)
{
#if LANES > 1
    for (Py_ssize_t done = 0; n >= LANES && done < n; done += LANES) {
        const Py_ssize_t t = done < n - LANES ? done : n - LANES;
        VEC r[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            const double *near = (const double *)(tile + t + i), *far = (const double *)(tile + t + i + LANES / 2);
            r[i] = PAIR(near, far);
            r[i + LANES / 2] = PAIR(near + LANES / 2, far + LANES / 2);
        }
        TRANSPOSE(r)
        for (int i = 0; i < LANES; i++)
            *(LOOSE *)(out[i] + t) = r[i];
    }
    if (n >= LANES)
        return;
#endif
    for (Py_ssize_t t = 0; t < n; t++)
        for (int lane = 0; lane < LANES; lane++)
            out[lane][t] = ((const double *)(tile + t))[lane];
}

/* The sections of one pass, as many as the registers carry. Section k takes x[k] and leaves x[k + 1]. What is done for
 * each is written out under conditions that are constants: not every compiler keeps the arrays of a loop in registers. */
#if LANES == 8
#define WIDEST 8
#define EACH(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7)
#define EACH_TURN(F) F(7, 6) F(6, 5) F(5, 4) F(4, 3) F(3, 2) F(2, 1) F(1, 0)
#else
#define WIDEST 4
#define EACH(F) F(0) F(1) F(2) F(3)
#define EACH_TURN(F) F(3, 2) F(2, 1) F(1, 0)
#endif
typedef struct {
    VEC x[WIDEST + 1], p[WIDEST], q[WIDEST];
    VEC b0[WIDEST], b1[WIDEST], b2[WIDEST], a1[WIDEST], a2[WIDEST];
    VEC b0x[WIDEST], b1x[WIDEST], b2x[WIDEST];
} NAME(wave);

/* One step of sections `last` down to `first`. Each takes what the one before it left a step ago, so that none waits
 * for another; the end of section k alternates with the start of section i = k - 1, which keeps multipliers and adders
 * busy at once. A numerator with b2 = b0 (`even`: every Butterworth edge and notch) needs that product only once: the
 * same bits for a multiplication less. */
TARGET INLINED void NAME(step)(NAME(wave) *w, const int first, const int last, const int even)
{
    w->b0x[last] = w->b0[last] * w->x[last];
    w->b1x[last] = w->b1[last] * w->x[last];
    w->b2x[last] = even ? w->b0x[last] : w->b2[last] * w->x[last];
    w->x[last + 1] = w->b0x[last] + w->p[last];
#define TURN(k, i)                                                   \
    if (first < k && k <= last) {                                    \
        const VEC a1y = w->a1[k] * w->x[k + 1];                      \
        w->b0x[i] = w->b0[i] * w->x[i];                              \
        const VEC fed = w->b1x[k] - a1y;                             \
        w->x[k] = w->b0x[i] + w->p[i];                               \
        const VEC a2y = w->a2[k] * w->x[k + 1];                      \
        w->p[k] = fed + w->q[k];                                     \
        w->b1x[i] = w->b1[i] * w->x[i];                              \
        w->b2x[i] = even ? w->b0x[i] : w->b2[i] * w->x[i];           \
        w->q[k] = w->b2x[k] - a2y;                                   \
    }
    EACH_TURN(TURN)
#undef TURN
    const VEC a1y = w->a1[first] * w->x[first + 1], a2y = w->a2[first] * w->x[first + 1];
    w->p[first] = (w->b1x[first] - a1y) + w->q[first];
    w->q[first] = w->b2x[first] - a2y;
}

/* The tile's n >= size samples through `size` sections, section k being k samples behind the first. */
TARGET INLINED void NAME(sweep)(const double *c, double *state, VEC *tile, Py_ssize_t n, const int size, const int even)
{
    NAME(wave) w;
#define TAKE(k)                                      \
    if (k < size) {                                  \
        w.p[k] = ((const LOOSE *)state)[2 * k];      \
        w.q[k] = ((const LOOSE *)state)[2 * k + 1];  \
        w.b0[k] = SPLAT(c[5 * k]);                   \
        w.b1[k] = SPLAT(c[5 * k + 1]);               \
        w.b2[k] = SPLAT(c[5 * k + 2]);               \
        w.a1[k] = SPLAT(c[5 * k + 3]);               \
        w.a2[k] = SPLAT(c[5 * k + 4]);               \
    }
#define ENTER(t) /* the later sections have no sample yet */ \
    if (t < size - 1) {                                      \
        w.x[0] = tile[t];                                    \
        NAME(step)(&w, 0, t, even);                          \
    }
#define LEAVE(k) /* the earlier sections have none left */ \
    if (0 < k && k < size) {                               \
        NAME(step)(&w, k, size - 1, even);                 \
        tile[n - size + k] = w.x[size];                    \
    }
#define GIVE(k)                               \
    if (k < size) {                           \
        ((LOOSE *)state)[2 * k] = w.p[k];     \
        ((LOOSE *)state)[2 * k + 1] = w.q[k]; \
    }
    EACH(TAKE)
    EACH(ENTER)
    for (Py_ssize_t t = size - 1; t < n; t++) {
        w.x[0] = tile[t];
        NAME(step)(&w, 0, size - 1, even);
        tile[t - (size - 1)] = w.x[size];
    }
    EACH(LEAVE)
    EACH(GIVE)
#undef TAKE
#undef ENTER
#undef LEAVE
#undef GIVE
}

typedef void NAME(pass)(const double *coefficients, double *state, VEC *tile, Py_ssize_t n);
#define PASS(name, size, even)                                                                 \
    TARGET static void NAME(name)(const double *c, double *state, VEC *tile, Py_ssize_t n)     \
    {                                                                                          \
        NAME(sweep)(c, state, tile, n, size, even);                                            \
    }
#define PASSES(size) PASS(any##size, size, 0) PASS(even##size, size, 1)
PASSES(1)
PASSES(2)
PASSES(3)
PASSES(4)
#if WIDEST == 8
PASSES(5)
PASSES(6)
PASSES(7)
PASSES(8)
#endif

static NAME(pass) *const NAME(passes)[2][WIDEST] = {
#if WIDEST == 8
    {NAME(any1), NAME(any2), NAME(any3), NAME(any4), NAME(any5), NAME(any6), NAME(any7), NAME(any8)},
    {NAME(even1), NAME(even2), NAME(even3), NAME(even4), NAME(even5), NAME(even6), NAME(even7), NAME(even8)},
#else
    {NAME(any1), NAME(any2), NAME(any3), NAME(any4)},
    {NAME(even1), NAME(even2), NAME(even3), NAME(even4)},
#endif
};

TARGET static void NAME(filter)(const double *coefficients, Py_ssize_t n_sections, double *state,
                                const double *const *in, double *const *out, Py_ssize_t n)
{
    VEC tile[BLOCK];
    NAME(gather)(in, tile, n);
    for (Py_ssize_t left = n_sections, size; left > 0; left -= size) {
        const Py_ssize_t most = n < WIDEST ? n : WIDEST;
        size = left <= most ? left : left < 2 * most ? (left + 1) / 2 : most; /* 9 sections as 5 + 4, not 8 + 1 */
        int even = 1;
        for (Py_ssize_t k = 0; k < size; k++)
            even &= coefficients[5 * k] == coefficients[5 * k + 2];
        NAME(passes)[even][size - 1](coefficients, state, tile, n);
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

/* The hum of one tile: the sum over the harmonics k that are taken of real[k] cos_k - imag[k] sin_k. */
TARGET static void NAME(foretell)(const double *real, const double *imag, const unsigned char *taken, Py_ssize_t n_harmonics,
                                  const double *cosines, const double *sines, Py_ssize_t n, double *out)
{
    for (Py_ssize_t t = 0; t < n; t += LANES) {
        VEC y = SPLAT(0.0);
        for (Py_ssize_t k = 0; k < n_harmonics; k++)
            if (taken[k])
                y += SPLAT(real[k]) * *(const LOOSE *)(cosines + k * n + t)
                     - SPLAT(imag[k]) * *(const LOOSE *)(sines + k * n + t);
        *(LOOSE *)(out + t) = y;
    }
}

/* Add a tile of one channel to its sums, [1 + 2 n_harmonics][HUM_LANES]: of itself, with each cosine and sine. */
TARGET static void NAME(correlate)(const double *x, const double *weight, Py_ssize_t n_harmonics, const double *cosines,
                                   const double *sines, Py_ssize_t n, double *sums)
{
    VEC weighted[HUM_TILE / LANES];
    for (Py_ssize_t i = 0; i < n / LANES; i++)
        weighted[i] = ((const LOOSE *)x)[i] * ((const LOOSE *)weight)[i];
    for (Py_ssize_t part = 0; part < HUM_LANES / LANES; part++) {
        LOOSE *sum = (LOOSE *)sums + part;
        VEC level = *sum;
        for (Py_ssize_t i = part; i < n / LANES; i += HUM_LANES / LANES)
            level += weighted[i];
        *sum = level;
        for (Py_ssize_t k = 0; k < n_harmonics; k++) {
            LOOSE *with_cosine = sum + (1 + 2 * k) * (HUM_LANES / LANES), *with_sine = with_cosine + HUM_LANES / LANES;
            const LOOSE *c = (const LOOSE *)(cosines + k * n), *s = (const LOOSE *)(sines + k * n);
            VEC along = *with_cosine, across = *with_sine;
            for (Py_ssize_t i = part; i < n / LANES; i += HUM_LANES / LANES) {
                along += weighted[i] * c[i];
                across += weighted[i] * s[i];
            }
            *with_cosine = along;
            *with_sine = across;
        }
    }
}

#undef VEC
#undef LOOSE
#undef SPLAT
#undef LIST
#undef PAIR
#undef WHOLE
#undef EXCHANGE
#undef STEP1
#undef STEP2
#undef TRANSPOSE
#undef WIDEST
#undef EACH
#undef EACH_TURN
#undef PASS
#undef PASSES
#undef TARGET
#undef LANES

#endif
