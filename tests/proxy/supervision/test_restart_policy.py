"""How often, and after what pause, an engine is started again."""

from __future__ import annotations

from proxy.supervision.restart_policy import Restart, RestartPolicy


def test_delays_grow_up_to_the_limit() -> None:
    policy = RestartPolicy((1, 2))
    assert [policy.next(0), policy.next(599), policy.next(0)] == [Restart(1, 2, 1), Restart(2, 2, 2), None]


def test_a_long_life_in_health_makes_earlier_faults_forgotten() -> None:
    policy = RestartPolicy((1, 2))
    policy.next(0)
    assert policy.next(600) == Restart(1, 2, 1)


def test_a_gpu_that_refused_is_tried_with_a_new_process_at_once() -> None:
    policy = RestartPolicy((1, 2))
    lives = [policy.next(30, at_once=True) for _ in range(9)]
    assert lives == [Restart(1, 2, 0.0)] * 9


def test_one_that_refuses_each_new_process_is_given_up() -> None:
    policy = RestartPolicy((1, 2, 4))
    lives = [policy.next(29, at_once=True) for _ in range(4)]
    assert lives == [Restart(1, 3, 0.0), Restart(2, 3, 2), Restart(3, 3, 4), None]
