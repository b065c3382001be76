"""The noise schedule: one set of float64 tables, and its respacing to fewer steps.

A network trained with T = 1000 knows timesteps 0..999. Fewer sampling steps therefore keep a subset of those
timesteps and re-derive the betas between them; the schedule is never rebuilt with a smaller T.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NoiseSchedule:
    """Tables of length S: `timesteps[i]` is what the network is told at step i.

    `alphas_cumprod` is the paper's alpha_t of Eq. 4; `posterior_*` belong to q(x_{t-1} | x_t, x_0).
    """

    timesteps: np.ndarray
    betas: np.ndarray
    alphas_cumprod: np.ndarray
    alphas_cumprod_prev: np.ndarray
    posterior_log_variance_clipped: np.ndarray
    posterior_mean_coef1: np.ndarray
    posterior_mean_coef2: np.ndarray

    def __len__(self) -> int:
        return len(self.timesteps)


def schedule_from_betas(betas: np.ndarray, timesteps: np.ndarray) -> NoiseSchedule:
    """Derive all tables from betas (S,) float64. Entry 0 of the clipped log variance reuses entry 1."""
    alphas_cumprod = np.cumprod(1.0 - betas)
    previous = np.append(1.0, alphas_cumprod[:-1])
    variance = betas * (1.0 - previous) / (1.0 - alphas_cumprod)
    clipped = np.append(variance[1], variance[1:]) if len(betas) > 1 else np.array([betas[0]])
    return NoiseSchedule(
        timesteps=timesteps,
        betas=betas,
        alphas_cumprod=alphas_cumprod,
        alphas_cumprod_prev=previous,
        posterior_log_variance_clipped=np.log(clipped),
        posterior_mean_coef1=betas * np.sqrt(previous) / (1.0 - alphas_cumprod),
        posterior_mean_coef2=(1.0 - previous) * np.sqrt(1.0 - betas) / (1.0 - alphas_cumprod),
    )


def linear_schedule(steps: int = 1000) -> NoiseSchedule:
    """The paper's linear schedule: betas from 1e-4 to 0.02 for T = 1000, scaled by 1000 / T otherwise."""
    scale = 1000 / steps
    return schedule_from_betas(np.linspace(scale * 1e-4, scale * 0.02, steps), np.arange(steps))


def subset(schedule: NoiseSchedule, kept: np.ndarray) -> NoiseSchedule:
    """The schedule of the timesteps at the ascending indices `kept`, with betas that bridge the gaps."""
    alphas = schedule.alphas_cumprod[kept]
    return schedule_from_betas(1.0 - alphas / np.append(1.0, alphas[:-1]), schedule.timesteps[kept])


def _check_steps(schedule: NoiseSchedule, steps: int) -> None:
    if not 2 <= steps <= len(schedule):
        raise ValueError(f"steps must be between 2 and {len(schedule)}, not {steps}")


def respaced(schedule: NoiseSchedule, steps: int) -> NoiseSchedule:
    """Keep `steps` evenly spaced timesteps, first and last included, as published: for samplers that add noise."""
    _check_steps(schedule, steps)
    if steps == len(schedule):
        return schedule
    return subset(schedule, np.round(np.arange(steps) * ((len(schedule) - 1) / (steps - 1))).astype(int))


def respaced_trailing(schedule: NoiseSchedule, steps: int) -> NoiseSchedule:
    """Keep `steps` timesteps at equal distances down from the last one; the first is not among them.

    Deterministic samplers start where x is pure noise and end with a jump from timestep T / steps - 1 to the picture.
    ("Trailing" in Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed".) With the first
    timestep kept, the jump before it spans most of the range of log signal-to-noise, and a second-order solver
    extrapolates over it.
    """
    _check_steps(schedule, steps)
    if steps == len(schedule):
        return schedule
    total = len(schedule)
    return subset(schedule, np.round(total - np.arange(steps) * (total / steps)).astype(int)[::-1] - 1)


def respaced_quadratic(schedule: NoiseSchedule, steps: int) -> NoiseSchedule:
    """Keep `steps` timesteps whose distances grow with the noise, the last one included.

    The i-th (of 1 ... S) is near T (i / S)^2 - 1, the quadratic choice of Song et al. 2021, "Denoising Diffusion
    Implicit Models", Appendix D.2. Detail is drawn where little noise is left, so that is where a few steps that add
    noise are best spent.
    """
    _check_steps(schedule, steps)
    wished = np.round(len(schedule) * (np.arange(1, steps + 1) / steps) ** 2).astype(int) - 1
    return subset(schedule, np.maximum(wished, np.arange(steps)))  # with many steps the lowest would coincide


def respaced_by_stride(schedule: NoiseSchedule, steps: int) -> NoiseSchedule:
    """Keep every n-th timestep from 0 on, where that leaves just `steps` of them: the published code's `ddimN`.

    The last timesteps are not among them: 25 of 1000 are 0, 40, ..., 960. ValueError where no whole stride does it.
    """
    _check_steps(schedule, steps)
    total = len(schedule)
    for stride in range(1, total):
        if len(range(0, total, stride)) == steps:
            return schedule if stride == 1 else subset(schedule, np.arange(0, total, stride))
    below = next(n for n in range(steps, 0, -1) if any(len(range(0, total, s)) == n for s in range(1, total)))
    raise ValueError(
        f"no whole stride through {total} timesteps leaves {steps} of them; {below} is the next that one does"
    )
