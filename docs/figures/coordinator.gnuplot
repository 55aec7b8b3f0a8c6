# How the coordinator grows: `./x bench coordinator --growth docs/figures/coordinator.csv`, then
# `gnuplot docs/figures/coordinator.gnuplot` in the root of the repository.
set datafile separator ","
set terminal svg size 1080,360 font "sans-serif,11" background "white"
set output "docs/figures/coordinator.svg"
set multiplot layout 1,3
set logscale xy
set grid lc rgb "#dddddd"
set key top left Left reverse
set format x "%.0f"
set style data linespoints
csv = "docs/figures/coordinator.csv"
only(by, value) = strcol("by") eq by ? value : 1/0

set title "100,000 jobs, so many workers"
set xlabel "workers"
set xtics (1, 2, 5, 10, 20, 50, 200)
set xrange [0.8:260]
set yrange [1:10000000]
set format y "%.0f"
plot csv using (only("workers", column("count"))):(column("jobs_per_s")) title "jobs a second" pt 7 lc rgb "#1f77b4", \
     csv using (only("workers", column("count"))):(column("job_ms_p50")) title "ms a job, p50" pt 7 lc rgb "#ff7f0e", \
     csv using (only("workers", column("count"))):(column("job_ms_p99")) title "ms a job, p99" pt 6 lc rgb "#ff7f0e"

set title "100 workers, so many jobs"
set xlabel "jobs in the queue"
set xtics ("1k" 1000, "10k" 10000, "100k" 100000, "1M" 1000000)
set xrange [700:1400000]
plot csv using (only("jobs", column("count"))):(column("jobs_per_s")) title "jobs a second" pt 7 lc rgb "#1f77b4", \
     csv using (only("jobs", column("count"))):(column("job_ms_p50")) title "ms a job, p50" pt 7 lc rgb "#ff7f0e", \
     csv using (only("jobs", column("count"))):(column("memory_mib")) title "MiB of memory" pt 7 lc rgb "#2ca02c"

set title "100 workers, so many jobs"
set yrange [0.01:1000]
set format y "%g"
plot csv using (only("jobs", column("count"))):(column("submit_s")) title "s to submit" pt 7 lc rgb "#d62728", \
     csv using (only("jobs", column("count"))):(column("page_ms")) title "ms for a page of 100" pt 7 lc rgb "#9467bd"
unset multiplot
