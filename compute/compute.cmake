# The layer compute: dispatch and backends.
file(GLOB hr_compute_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/compute/*.c
     ${CMAKE_SOURCE_DIR}/compute/cpu/*.c ${CMAKE_SOURCE_DIR}/compute/strict/*.c
     ${CMAKE_SOURCE_DIR}/compute/dry/*.c)
add_library(hr_compute STATIC ${hr_compute_sources})
target_include_directories(hr_compute PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(hr_compute PUBLIC hr_base PRIVATE OneDNN::dnnl OpenMP::OpenMP_C)
