from __future__ import annotations

from llmops.gpu.system import SystemSampler


def test_the_machine_is_a_device_of_type_cpu_so_that_no_vram_objective_counts_it() -> None:
    (sample,) = SystemSampler().sample(1.0)
    assert sample.device_type == "cpu"
    assert sample.utilization is None
    assert sample.cpu_utilization is not None
    assert sample.memory_used_bytes == sample.system_memory_used_bytes
    assert sample.memory_limit_bytes and sample.memory_limit_bytes > 100 << 20
    assert sample.device_model
    assert "%" in sample.message()


def test_its_id_outlives_the_process() -> None:
    assert SystemSampler().sample(1.0)[0].device_id == SystemSampler().sample(2.0)[0].device_id
