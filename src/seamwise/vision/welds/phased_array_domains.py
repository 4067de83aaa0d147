"""Ready domains of simulated phased-array scans of polyethylene: two electrofusion machines and one butt-fusion one."""

from __future__ import annotations

from seamwise.vision.welds.phased_array_settings import PhasedArray

PHASED_ARRAY_DOMAINS: dict[str, PhasedArray] = {
    domain.name: domain
    for domain in (
        # P1: small coupler, fine resolution, linear screen, careful coupling.
        PhasedArray(name="pe-electrofusion-5mhz"),
        # P2: larger coupler of another make and faster plastic, coarse and deep, logarithmic screen, poor coupling,
        # a works that heats badly.
        PhasedArray(
            name="pe-electrofusion-2.5mhz",
            frequency_mhz=2.5,
            element_pitch_mm=0.5,
            active_elements=20,
            focus_mm=16.0,
            sound_speed_m_s=2385.0,
            speckle_db=-38.0,
            wire_depth_mm=13.0,
            wire_pitch_mm=3.9,
            wire_diameter_mm=1.2,
            face_gap_mm=1.0,
            pipe_wall_mm=14.6,
            eigen_line_mm=4.6,
            cold_share=0.25,
            overheated_share=0.25,
            dead_zone_mm=4.5,
            coupling_strips=3.0,
            coupling_loss_db=15.0,
            air_gap_share=0.03,
            roughness_us=0.08,
            gain_jitter_db=0.8,
            display="log",
            gain_db=-2.0,
            dynamic_range_db=50.0,
            pitch_mm=0.15,
            sample_mm=0.08,
        ),
        # P3: butt joint, sector of 40 to 75 degrees, in all weathers, 16-bit logarithmic data.
        PhasedArray(
            name="pe-butt-sector",
            joint="butt",
            frequency_mhz=2.25,
            elements=32,
            element_pitch_mm=0.75,
            active_elements=32,
            focus_mm=36.0,
            temperature_c=10.0,
            temperature_sd_c=8.0,
            speckle_db=-42.0,
            eigen_line_mm=2.4,
            eigen_line_db=-33.0,
            dead_zone_mm=8.0,
            reverberation_db=-40.0,
            noise_db=-100.0,
            coupling_strips=1.5,
            coupling_loss_db=8.0,
            roughness_us=0.03,
            display="log",
            gain_db=0.0,
            dynamic_range_db=48.0,
            bits=16,
            pitch_mm=0.18,
            sample_mm=0.12,
            mix_crack=0.3,
            mix_lack_of_fusion=0.3,
            mix_lack_of_penetration=0.12,
            mix_porosity=0.16,
            mix_slag_inclusion=0.12,
        ),
    )
}
