# The layer compute: dispatch and backends.
file(GLOB hr_compute_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/compute/*.c
     ${CMAKE_SOURCE_DIR}/compute/cpu/*.c ${CMAKE_SOURCE_DIR}/compute/strict/*.c
     ${CMAKE_SOURCE_DIR}/compute/dry/*.c)

# The kernels of the cpu backend, once per instruction set; isa.c chooses at run time.
file(GLOB hr_kernel_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/compute/cpu/kernels/*.c)
set(hr_kernels "")
set(hr_levels plain)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64|amd64")
    list(APPEND hr_levels avx2 avx512)
endif()
set(hr_flags_plain "")
set(hr_flags_avx2 -march=x86-64-v3)
set(hr_flags_avx512 -march=x86-64-v4 -mprefer-vector-width=512)
foreach(level ${hr_levels})
    add_library(hr_kernels_${level} OBJECT ${hr_kernel_sources})
    target_include_directories(hr_kernels_${level} PRIVATE ${CMAKE_SOURCE_DIR})
    target_compile_definitions(hr_kernels_${level} PRIVATE HR_KERNEL_LEVEL=${level})
    # -O3 also in debugging builds: the tests go through them by the billion. No vector
    # crosses an object file, so the warning about their calling convention is empty.
    target_compile_options(hr_kernels_${level} PRIVATE -O3 -Wno-psabi
                                                       ${hr_flags_${level}})
    list(APPEND hr_kernels $<TARGET_OBJECTS:hr_kernels_${level}>)
endforeach()

hr_add_library(hr_compute SOURCES ${hr_compute_sources} OBJECTS ${hr_kernels} LINK hr_base
               LINK_PRIVATE OneDNN::dnnl OpenMP::OpenMP_C)
