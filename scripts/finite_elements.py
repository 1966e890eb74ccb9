"""Reference solver for steady axisymmetric Poisson-Nernst-Planck flow of K+ and Cl- through a pore.

The water is 0 <= r <= R(z), with R the polyline of wall points (nm), between two plane baths at the first and the
last z. The solid outside the wall carries the potential only. Unknowns are the potential phi (kT/e) and the
electrochemical potentials mu_k, with concentration exp(mu_k - z_k phi), all quadratic on one triangle mesh that is
graded towards corners and charged walls. Newton's method starts on a coarse mesh, where the load grows from zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import triangle
from numpy.typing import NDArray
from scipy import constants as sc
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
from scipy.sparse import bmat, coo_matrix, csr_matrix
from scipy.sparse.linalg import splu
from skfem import Basis, ElementTriP2, FacetBasis, LinearForm, MeshTri

Array = NDArray[np.float64]
THERMAL_MV = 1e3 * sc.k * 298.15 / sc.e
PER_MM = sc.N_A * 1e-27  # nm^-3 in 1 mM
PER_CM2 = 1e-18 / sc.e  # elementary charges per nm^2 in 1 C/m^2
VACUUM = sc.epsilon_0 * THERMAL_MV / sc.e * 1e-12  # per nm, for potentials in kT/e
PA_PER_ION = sc.e * 1e21  # pA in 1 elementary charge per ns
VALENCE = (1.0, -1.0)
MOST_TRIANGLES = 120_000


@dataclass(frozen=True)
class Case:
    """A pore (nm), surface charge (C/m^2), baths (mM), voltage at the first z against the last, D (nm^2/ns).

    - rims: radii at which the solid ends at the first and the last z, and on a line between; 1.5 times the largest of
      the wall unless given.
    - lid: whether the solid ends at a line from the second to the last but one point, the rims of two containers.
    """

    points: Sequence[tuple[float, float]]
    sigma: float
    charged: tuple[float, float]
    conc: tuple[float, float]
    voltage_mV: float
    eps_m: float = 2.0
    eps_w: float = 80.0
    diffusivity: tuple[float, float] = (1.96, 2.03)
    rims: tuple[float, float] | None = None
    lid: bool = False

    def wall(self) -> Array:
        """Wall points, with the ends of the charged range inserted and repeats dropped."""
        points = [tuple(self.points[0])]
        for (z, r), (z_next, r_next) in zip(self.points[:-1], self.points[1:], strict=True):
            cuts = [cut for cut in sorted(self.charged) if self.sigma and z < cut < z_next]
            points += [(cut, r + (r_next - r) * (cut - z) / (z_next - z)) for cut in cuts] + [(z_next, r_next)]
        return np.array([p for i, p in enumerate(points) if not i or p != points[i - 1]], dtype=float)


def mesh_size(case: Case, points: Array, solid: NDArray[np.bool_], spread: float) -> Array:
    """Wanted edge length at each point; layers at walls wider than spread times the narrowest are resolved less."""
    wall, debye = case.wall(), np.sqrt(case.eps_w * VACUUM / (2 * PER_MM * max(case.conc)))
    layer = min(debye, 2 * case.eps_w * VACUUM / max(abs(case.sigma) * PER_CM2, 1e-9))  # or Gouy-Chapman length
    start, step = wall[:-1], np.diff(wall, axis=0)
    part = np.einsum("psd,sd->ps", points[:, None] - start, step) / np.sum(step**2, axis=1)
    near = start + np.clip(part, 0, 1)[..., None] * step
    away, radius = np.linalg.norm(points[:, None] - near, axis=2), near[..., 1]
    faster = np.where(solid, 3.0 if case.eps_m < 1e-3 else 1.5, 1.0)[:, None]
    size = np.min(radius / 6 + 0.2 * faster * away, axis=1)
    middle = start[:, 0] + step[:, 0] / 2
    on = (middle > case.charged[0]) & (middle < case.charged[1]) & (step[:, 0] > 0) & (case.sigma != 0)
    first = np.where(on, 0.3, 1.0 if case.eps_m > 1e-3 else np.inf) * layer
    first = first * np.sqrt(np.maximum(1, radius / (spread * wall[:, 1].min())))
    size = np.minimum(size, np.min(first + 0.4 * faster * away, axis=1))
    turn = np.pad(np.diff(np.arctan2(step[:, 1], step[:, 0])), 1)  # > 0: solid points into water, singular field
    corner = wall[:, 1] * np.where(turn > 0, 3e-5 ** ((1 + turn / np.pi) / 2), 0.03)
    ends = np.diff(on.astype(int), prepend=0, append=0) != 0
    corner[ends] = np.minimum(corner[ends], 0.02 * layer)
    reach = np.linalg.norm(points[:, None] - wall, axis=2)
    return np.minimum(size, np.min(corner + 0.3 * faster * reach, axis=1))


def build_mesh(case: Case, factor: float, spread: float) -> MeshTri:
    """Triangle mesh of water and solid, refined until every triangle is as small as wanted (or there are too many)."""
    wall = case.wall()
    n, left, right, rims = len(wall), wall[0, 0], wall[-1, 0], case.rims or (1.5 * wall[:, 1].max(),) * 2
    vertices = np.vstack([wall, [[right, 0.0], [left, 0.0]]])
    chain = [(i, i + 1) for i in range(n + 1)] + [(n + 1, 0)]
    if case.lid:
        chain, rims = [*chain, (1, n - 2)], (wall[1, 1],) * 2
    else:
        vertices = np.vstack([vertices, [[right, rims[1]], [left, rims[0]]]])
        chain += [(n - 1, n + 2), (n + 2, n + 3), (n + 3, 0)]
    seeds = [[(left + right) / 2, 0.5 * wall[:, 1].min(), 1, 0], [(left + right) / 2, 0.99 * sum(rims) / 2, 2, 0]]
    mesh = triangle.triangulate({"vertices": vertices, "segments": chain, "regions": seeds}, "pq30AQ")
    while True:
        corners = mesh["vertices"][mesh["triangles"]]
        area = np.abs(np.linalg.det(np.diff(corners, axis=1))) / 2
        solid = mesh["triangle_attributes"][:, 0] > 1.5
        want = 1.1 * (factor * mesh_size(case, corners.mean(axis=1), solid, spread)) ** 2
        too_big = area > 1.3 * want
        if not too_big.any() or len(area) > MOST_TRIANGLES:
            break
        mesh["triangle_max_area"] = np.where(too_big, np.maximum(want, area / 4), -1.0)[:, None]
        mesh = triangle.triangulate(mesh, "rpq30aQ")
    full = MeshTri(mesh["vertices"].T.copy(), mesh["triangles"].T.copy())
    return full.with_subdomains({"water": np.flatnonzero(~solid), "solid": np.flatnonzero(solid)})


class Elements:
    """Quadratic elements of one region with the axisymmetric weight, for batched element matrices."""

    def __init__(self, mesh: MeshTri, region: str) -> None:
        basis = Basis(mesh, ElementTriP2(), elements=region, intorder=5)
        self.dofs, self.count = basis.element_dofs.T, basis.N
        self.value = np.stack([np.broadcast_to(np.asarray(f[0]), basis.dx.shape)[0] for f in basis.basis])
        self.grad = np.stack([f[0].grad for f in basis.basis]).transpose(2, 0, 1, 3).copy()
        self.weight = 2 * np.pi * basis.dx * np.asarray(basis.global_coordinates())[1]

    def matrix(self, left: Array, right: Array) -> csr_matrix:
        """Sparse matrix from the terms of test and trial functions, weighted on the left, summed over the points."""
        places = (np.repeat(self.dofs, 6, axis=1).ravel(), np.tile(self.dofs, (1, 6)).ravel())
        local = (left @ np.swapaxes(right, -1, -2)).ravel()
        return coo_matrix((local, places), shape=(self.count, self.count)).tocsr()

    def stiffness(self, factor: Array) -> csr_matrix:
        """Matrix of factor * grad u . grad w."""
        shape, scaled = (len(self.dofs), 6, -1), self.grad * (factor * self.weight)[:, None, None]
        return self.matrix(scaled.reshape(shape), self.grad.reshape(shape))


class System:
    """Discrete equations on one mesh for x, the rows phi, mu_K and mu_Cl with a value per node (mu unused in solid)."""

    def __init__(self, case: Case, mesh: MeshTri) -> None:
        self.case, self.water, solid = case, Elements(mesh, "water"), Elements(mesh, "solid")
        self.place, self.wet = Basis(mesh, ElementTriP2()).doflocs.T, np.unique(self.water.dofs)
        stiff = [part.stiffness(np.ones_like(part.weight)) for part in (self.water, solid)]
        self.laplace = VACUUM * (case.eps_w * stiff[0] + case.eps_m * stiff[1])
        wall = np.intersect1d(*(mesh.t2f[:, mesh.subdomains[name]] for name in ("water", "solid")))
        low, high = case.charged
        form = LinearForm(lambda v, w: v * w.x[1] * (low < w.x[0]) * (w.x[0] < high) * (abs(w.n[1]) > 1e-6))
        edge = FacetBasis(mesh, ElementTriP2(), facets=wall, intorder=4)
        self.charge = 2 * np.pi * case.sigma * PER_CM2 * form.assemble(edge)  # none on vertical wall pieces
        z = self.place[self.wet, 0]
        self.ends = [self.wet[z == end] for end in (z.min(), z.max())]
        free = np.zeros((3, solid.count), dtype=bool)
        free[0], free[:, self.wet], free[:, np.concatenate(self.ends)] = True, True, False
        self.free = np.flatnonzero(free)

    def equations(self, x: Array, load: float) -> tuple[Array, csr_matrix]:
        """Unconstrained residual rows and their Jacobian; load scales charge, voltage and log bath ratio."""
        part, rows = self.water, np.zeros_like(x)
        blocks: list[list[Any]] = [[self.laplace, None, None], [None] * 3, [None] * 3]
        rows[0] = self.laplace @ x[0] - load * self.charge
        for k, charge in enumerate(VALENCE, start=1):
            conc = np.exp((x[k] - charge * x[0])[part.dofs] @ part.value)
            moving = self.case.diffusivity[k - 1] * conc
            flow = moving[:, None] * np.einsum("ei,eidq->edq", x[k][part.dofs], part.grad)
            mass, stiff = part.matrix(part.value * (conc * part.weight)[:, None], part.value), part.stiffness(moving)
            drift = part.matrix(np.einsum("eidq,edq,eq->eiq", part.grad, flow, part.weight), part.value)
            rows[0] -= charge * np.asarray(mass.sum(axis=1)).ravel()
            rows[k] = stiff @ x[k]
            blocks[0][0] = blocks[0][0] + mass
            blocks[0][k], blocks[k][0], blocks[k][k] = -charge * mass, -charge * drift, stiff + drift
        return rows, bmat(blocks, format="csr")

    def newton(self, x: Array, load: float, tolerance: float = 1e-7, most: int = 25) -> Array | None:
        """Newton's method from x with a bound on each change of log concentration; None when it does not settle."""
        x, mean = x.copy(), np.sqrt(np.prod(self.case.conc))
        for end, conc, volts in zip(self.ends, self.case.conc, (self.case.voltage_mV, 0.0), strict=True):
            level, phi = np.log(mean * PER_MM) + load * np.log(conc / mean), load * volts / THERMAL_MV
            x[:, end] = np.array([[phi], [level + phi], [level - phi]])
        for _ in range(most):
            rows, slope = self.equations(x, load)
            if not np.isfinite(rows).all():
                return None
            inner = slope[self.free][:, self.free].tocsc()
            lu = splu(inner, "MMD_AT_PLUS_A", diag_pivot_thresh=1e-3, options={"SymmetricMode": True})
            step = np.zeros_like(x)
            step.flat[self.free] = lu.solve(-rows.flat[self.free])
            change = np.abs((step[1:] - np.outer(VALENCE, step[0]))[:, self.wet]).max()
            x += step * min(1.0, 2.5 / max(change, 1e-30))
            if max(change, np.abs(step[1:]).max()) < tolerance:
                return x
        return None

    def grow(self) -> Array:
        """Solution at full load, reached by raising the load from zero in steps that adapt."""
        x = np.zeros((3, len(self.place)))
        x[1:] = np.log(np.sqrt(np.prod(self.case.conc)) * PER_MM)
        load, rise, slope = 0.0, 0.25, np.zeros_like(x)
        while load < 1.0:
            target = min(1.0, load + rise)
            found = self.newton(x + slope * (target - load), target)
            rise *= 0.5 if found is None else 1.5
            if found is not None:
                x, load, slope = found, target, (found - x) / (target - load)
            elif rise < 1e-3:
                raise RuntimeError("the load could not be raised")
        return x

    def carry(self, x: Array, other: "System") -> Array:
        """Solution x interpolated to the nodes of another mesh (else from the nearest node), as a first guess there."""
        guess = np.zeros((3, len(other.place)))
        for old, new in ((slice(None), slice(None)), (self.wet, other.wet)):
            known, values, wanted = self.place[old], x.T[old], other.place[new]
            found = LinearNDInterpolator(known, values)(wanted)
            lost = np.isnan(found[:, 0])
            found[lost] = NearestNDInterpolator(known, values)(wanted[lost])
            guess[:, new] = found.T
        return guess


def refine(case: Case, factors: Sequence[float]) -> list[float]:
    """Currents on meshes of falling size factor, each started from the one before."""
    for spread in (20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2):
        finest = build_mesh(case, factors[-1], spread)
        if finest.nelements < MOST_TRIANGLES:
            break
    currents: list[float] = []
    last: tuple[System, Array] | None = None
    for mesh in [*(build_mesh(case, factor, spread) for factor in factors[:-1]), finest]:
        system = System(case, mesh)
        found = system.newton(last[0].carry(last[1], system), 1.0) if last else None
        x = system.grow() if found is None else found
        reaction = system.equations(x, 1.0)[0][1:, system.ends[0]].sum(axis=1)  # ions per ns from the first bath
        currents.append(float(PA_PER_ION * np.dot(VALENCE, reaction)))
        last = system, x
    return currents


def current(*pore: Any, factor: float = 1.0, **more: Any) -> float:
    """Current in pA, positive from the first bath to the last; arguments as for Case, all mesh sizes times factor."""
    return refine(Case(*pore, **more), (2.5 * factor, factor))[-1]


def converged_current(*pore: Any, factor: float = 1.0, **more: Any) -> tuple[float, float]:
    """Current in pA on a mesh of factor / 1.6, and its relative difference from that of factor."""
    _, coarse, fine = refine(Case(*pore, **more), (2.5 * factor, factor, factor / 1.6))
    return fine, abs(fine - coarse) / max(abs(fine), 1e-300)
