"""What an error says about the device."""

import errno
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from generation.machines import devices
from generation.machines.devices import Fault, fault_of, full_precision, memory_in_use, usual_precision

MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED"),
    RuntimeError("Triton Error [CUDA]: out of memory"),
    MemoryError(),
    OSError(errno.ENOMEM, "Cannot allocate memory"),  # of a file of weights that is mapped
]
STICKY = [
    torch.AcceleratorError("CUDA error: device-side assert triggered"),
    torch.AcceleratorError("something that no list holds"),
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: uncorrectable ECC error encountered"),
    RuntimeError("CUDA error: unspecified launch failure"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
    RuntimeError("Triton Error [CUDA]: an illegal instruction was encountered"),
    RuntimeError("No CUDA GPUs are available"),
]
OTHER = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    ValueError("CUDA error in the name of a file"),
    OSError("disk full"),
    RuntimeError("Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!"),
]


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        *((error, Fault.MEMORY) for error in MEMORY),
        *((error, Fault.STICKY) for error in STICKY),
        *((error, Fault.OTHER) for error in OTHER),
    ],
)
def test_what_an_error_says_about_the_device(error: Exception, fault: Fault) -> None:
    assert fault_of(error) is fault
    wrapped = ValueError("it cannot be loaded")
    wrapped.__cause__ = error
    assert fault_of(wrapped) is fault


def test_the_memory_in_use_is_below_the_whole() -> None:
    used, total = memory_in_use()
    assert 0 < used < total


def test_an_encoder_changes_no_flag_while_images_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "device", lambda: "cuda")

    def flag_of_an_encoder() -> bool:
        with full_precision():
            return torch.backends.cudnn.allow_tf32

    with ThreadPoolExecutor(1) as other:
        with usual_precision():
            flag = other.submit(flag_of_an_encoder)
            with pytest.raises(TimeoutError):
                flag.result(timeout=0.05)
            assert torch.backends.cudnn.allow_tf32
        assert flag.result() is False
    assert torch.backends.cudnn.allow_tf32
